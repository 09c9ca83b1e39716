package config_test

import (
	"strings"
	"testing"

	"github.com/goslo/goslo/config"
)

func TestDeclarations(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		declares any
		want     string
	}{
		{1, "not a struct"},
		{struct {
			A string `config:"a b"`
		}{}, "not a name"},
		{struct {
			A string `config:"a,mutabel"`
		}{}, `"mutabel" is not a property`},
		{struct {
			A int `config:"a" default:"x"`
		}{}, "[DEFAULT] a: default: not an integer"},
		{struct {
			A int `config:"a" default:"5" max:"4"`
		}{}, "default: not at most 4"},
		{struct {
			A string `config:"a" min:"1"`
		}{}, "min is a number"},
		{struct {
			A string `config:"a" type:"hots"`
		}{}, `no type is called "hots"`},
		{struct {
			A chan int `config:"a"`
		}{}, "cannot be read"},
		{struct {
			A string `config:"a,secret"`
		}{}, "a secret must be a config.Secret"},
		{struct {
			A string `config:"a,multi"`
		}{}, "only a slice is multi"},
		{struct {
			A string `config:"a"`
			B string `config:"a"`
		}{}, "declared twice"},
		{struct {
			A string `config:"a"`
			B string `config:"b" deprecated:"a"`
		}{}, "that of another option"},
		{struct {
			A string `config:"a" short:"a"`
		}{}, "short is one letter, for an option that is a flag"},
		{struct {
			A string `help:"Forgotten."`
		}{}, "no config tag"},
		{struct {
			A struct {
				B struct{} `config:"b"`
			} `config:"a"`
		}{}, "groups are not nested"},
		{struct {
			A struct{} `config:"a,mutable"`
		}{}, "not a property of a group"},
		{struct {
			a string `config:"a"`
		}{}, "not exported"},
		{struct {
			A map[int]string `config:"a"`
		}{}, "keys of a map must be strings"},
		{struct {
			A uint8 `config:"a" type:"port"`
		}{}, "16 bits"},
		{struct {
			A int `config:"a" min:"2" max:"1"`
		}{}, "min is more than max"},
		{struct {
			A int `config:"a" max:"4"`
		}{A: 5}, "default: not at most 4"},
		{struct {
			A []string `config:"a" choices:"x,y"`
		}{A: []string{"x", "z"}}, "default: not one of x, y"},
		{struct{ Bus busOptions }{}, "field Bus: it holds options"},
		{struct{ *busOptions }{}, "field busOptions: it points to options"},
		{struct {
			A string `config:"api_workers,flag"`
			B struct {
				C int `config:"workers,flag"`
			} `config:"api"`
		}{}, "[api] workers: its flag --api-workers is one of [DEFAULT] api_workers too"},
		{struct {
			A bool `config:"debug,flag" short:"d"`
			B bool `config:"deep,flag" short:"d"`
		}{}, "[DEFAULT] deep: its flag -d is one of [DEFAULT] debug too"},
		{struct {
			A bool `config:"debug,flag"`
			B bool `config:"nodebug,flag"`
		}{}, "its flag --nodebug is one of [DEFAULT] debug too"},
		{struct {
			A string `config:"config_file,flag"`
		}{}, "every program has a flag --config-file"},
	} {
		err := config.Declare(test.declares)
		if err == nil || !strings.HasPrefix(err.Error(), "config: declaration of ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%T: error %v, want %q", test.declares, err, test.want)
		}
	}
}
