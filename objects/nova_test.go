package objects_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/objects"
)

var novaObjects = []objects.Type{
	Instance{},
	InstanceList{},
	InstanceInfoCache{},
	InstanceNUMATopology{},
	InstanceNUMACell{},
	InstancePCIRequests{},
	InstancePCIRequest{},
	Tag{},
	TagList{},
	TrustedCerts{},
	Service{},
	ServiceList{},
	Resource{},
	ResourceList{},
	Flavor{},
	ImageMeta{},
	ImageMetaProps{},
	Migration{},
	MigrationList{},
	LibvirtLiveMigrateData{},
	LibvirtLiveMigrateBDMInfo{},
	LibvirtLiveMigrateNUMAInfo{},
	VIFMigrateData{},
	BlockDeviceMapping{},
	BlockDeviceMappingList{},
	RequestSpec{},
	NetworkRequest{},
	NetworkRequestList{},
	SchedulerRetries{},
	SchedulerLimits{},
	InstanceGroup{},
	Destination{},
	CellMapping{},
	ComputeNode{},
	ComputeNodeList{},
	NetworkMetadata{},
	RequestGroup{},
	RequestLevelParams{},
}

func nova(t testing.TB) *objects.Registry {
	t.Helper()
	r, err := objects.NewRegistry(novaObjects...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func golden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "nova", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// meaning is a JSON value as peers understand it: numbers by their text, so that 1 is not 1.0, and changes in any order.
func meaning(t testing.TB, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	sortChanges(v)
	return v
}

func sortChanges(v any) {
	switch v := v.(type) {
	case []any:
		for _, element := range v {
			sortChanges(element)
		}
	case map[string]any:
		for name, member := range v {
			if changes, ok := member.([]any); ok && strings.HasSuffix(name, "_object.changes") {
				slices.SortFunc(changes, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
			}
			sortChanges(member)
		}
	}
}

// Objects of the real nova decode into structs and encode to the same, by themselves and as arguments.
func TestNovaObjectsRoundTrip(t *testing.T) {
	t.Parallel()
	r := nova(t)
	files, err := filepath.Glob(filepath.Join("testdata", "nova", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		if name == "schema" || name == "backports" {
			continue
		}
		seen++
		text := golden(t, name)
		object, err := r.Decode(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		ours, err := json.Marshal(map[string]any{"args": object})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := map[string]any{"args": meaning(t, text)}
		if diff := cmp.Diff(any(want), meaning(t, ours)); diff != "" {
			t.Errorf("%s (-nova +ours):\n%s", name, diff)
		}
	}
	if seen < 18 {
		t.Errorf("%d golden files, want 18", seen)
	}
}

// What the structs declare is what nova declares, down to defaults; this lists the differences.
func TestDeclaredAsInNova(t *testing.T) {
	t.Parallel()
	type class struct {
		Version string
		List    bool
		Fields  map[string]struct {
			Nullable bool
			ReadOnly bool `json:"read_only"`
			Default  bool
			Object   string
		}
		Tree map[string]string
	}
	var schema map[string]class
	if err := json.Unmarshal(golden(t, "schema"), &schema); err != nil {
		t.Fatal(err)
	}
	var differences []string
	declared := map[string]bool{}
	for _, object := range novaObjects {
		name, version, list, fields, err := objects.Declaration(object)
		if err != nil {
			t.Fatal(err)
		}
		declared[name] = true
		theirs := schema[name]
		if version != theirs.Version || list != theirs.List || len(fields) != len(theirs.Fields) {
			t.Errorf("%s: version %s, list %v, %d fields; nova: %s, %v, %d", name, version, list, len(fields), theirs.Version, theirs.List, len(theirs.Fields))
		}
		for field, their := range theirs.Fields {
			our, ok := fields[field]
			switch {
			case !ok:
				differences = append(differences, name+"."+field+" missing")
			case our.Nullable != their.Nullable:
				differences = append(differences, name+"."+field+" nullable")
			case our.ReadOnly != their.ReadOnly:
				differences = append(differences, name+"."+field+" read-only")
			case !our.Nullable && our.Default != their.Default:
				differences = append(differences, name+"."+field+" default")
			case our.Object != their.Object && our.Object != "":
				differences = append(differences, name+"."+field+" object "+our.Object)
			}
		}
	}
	for name := range schema {
		if !declared[name] {
			differences = append(differences, name)
		}
	}
	slices.Sort(differences)
	want := []string{
		"InstanceGroup.policies read-only",                  // and nullable, which is Nullable here
		"KeyPairList", "PciDeviceList", "SecurityGroupList", // kept as JSON
	}
	if diff := cmp.Diff(want, differences); diff != "" {
		t.Errorf("differences from nova (-known +found):\n%s", diff)
	}
	tree, err := objects.Versions[LibvirtLiveMigrateData]()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(schema["LibvirtLiveMigrateData"].Tree, tree); diff != "" {
		t.Errorf("versions (-nova +ours):\n%s", diff)
	}
}

// A ported is an object as nova writes it for an older peer.
type ported struct {
	Object, Target string
	Versions       map[string]string
	Primitive      json.RawMessage
	Error          string
}

// MakeCompatible says what nova's cells do for peers who do not know pcpuset.
func (x InstanceNUMACell) MakeCompatible(data map[string]json.RawMessage, target objects.Version) error {
	if target.Before(1, 5) && x.CPUPolicy.Get() == "dedicated" {
		pinned, err := json.Marshal(x.Pcpuset.Get())
		if err != nil {
			return err
		}
		data["cpuset"] = pinned
	}
	return nil
}

// Objects are written at older versions as nova writes them.
func TestBackportsAreNovas(t *testing.T) {
	t.Parallel()
	var all []ported
	if err := json.Unmarshal(golden(t, "backports"), &all); err != nil {
		t.Fatal(err)
	}
	r := nova(t)
	for _, p := range all {
		object, err := r.Decode(golden(t, p.Object))
		if err != nil {
			t.Fatal(err)
		}
		ours, err := backport(object, p)
		if p.Error != "" {
			// Both refuse for want of a rule, if not for the same field: ours drops the newer fields first.
			var target *objects.TargetError
			if !errors.As(err, &target) || !strings.Contains(target.Reason, "no relationships tag") || !strings.Contains(p.Error, "No rule for") {
				t.Errorf("%s to %s: %v, nova: %s", p.Object, p.Target, err, p.Error)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s to %s: %v", p.Object, p.Target, err)
			continue
		}
		if diff := cmp.Diff(meaning(t, p.Primitive), meaning(t, ours)); diff != "" {
			t.Errorf("%s to %s with %v (-nova +ours):\n%s", p.Object, p.Target, p.Versions, diff)
		}
	}
}

func backport(object any, p ported) ([]byte, error) {
	switch object := object.(type) {
	case *Instance:
		return objects.Backport(object, p.Target, p.Versions)
	case *Flavor:
		return objects.Backport(object, p.Target, p.Versions)
	case *Migration:
		return objects.Backport(object, p.Target, p.Versions)
	case *MigrationList:
		return objects.Backport(object, p.Target, p.Versions)
	case *NetworkRequestList:
		return objects.Backport(object, p.Target, p.Versions)
	case *LibvirtLiveMigrateData:
		return objects.Backport(object, p.Target, p.Versions)
	case *BlockDeviceMapping:
		return objects.Backport(object, p.Target, p.Versions)
	}
	return nil, errors.New("a case is missing in the test")
}
