package objects_test

import (
	"testing"

	"github.com/goslo/goslo/objects"
)

func BenchmarkMarshal(b *testing.B) {
	var i Instance
	if err := objects.Unmarshal(golden(b, "instance"), &i); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := objects.Marshal(i); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnmarshal(b *testing.B) {
	text := golden(b, "instance")
	b.ReportAllocs()
	for b.Loop() {
		if err := objects.Unmarshal(text, new(Instance)); err != nil {
			b.Fatal(err)
		}
	}
}
