package observe_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/goslo/goslo/observe"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

// families are the names of our metrics, each with its labels and whether it is a histogram.
func families(t *testing.T) map[string]family {
	t.Helper()
	all := map[string]family{}
	keep := keeper{Registry: prometheus.NewRegistry(), all: all}
	o, err := observe.New(observe.Config{Metrics: keep})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Transport("", meter{Transport: memory.NewBus().Open(memory.Config{}), statistics: &transport.Statistics{}}); err != nil {
		t.Fatal(err)
	}
	return all
}

type family struct {
	labels    []string
	histogram bool
}

// A keeper is a registry that remembers what is registered.
type keeper struct {
	*prometheus.Registry
	all map[string]family
}

var description = regexp.MustCompile(`fqName: "([^"]+)".*constLabels: \{(?:(\w+)=.*)?\}, variableLabels: \{([^}]*)\}`)

func (k keeper) Register(c prometheus.Collector) error {
	descs := make(chan *prometheus.Desc, 100)
	c.Describe(descs)
	close(descs)
	for d := range descs {
		m := description.FindStringSubmatch(d.String())
		if m == nil {
			return fmt.Errorf("a description of another form: %s", d)
		}
		_, histogram := c.(*prometheus.HistogramVec)
		k.all[m[1]] = family{slices.DeleteFunc(append(strings.Split(m[3], ","), m[2]), func(s string) bool { return s == "" }), histogram}
	}
	return k.Registry.Register(c)
}

// base is the family of a series, which of a histogram has a suffix.
func base(all map[string]family, name string) (string, bool) {
	if f, ok := all[name]; ok && !f.histogram {
		return name, true
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if of, ok := strings.CutSuffix(name, suffix); ok && all[of].histogram {
			return of, true
		}
	}
	return "", false
}

// A ruleFile is what Prometheus reads (its package rulefmt, which needs Kubernetes' client; its parser of expressions does not).
type ruleFile struct {
	Groups []struct {
		Name     string `yaml:"name"`
		Interval string `yaml:"interval,omitempty"`
		Rules    []struct {
			Alert       string            `yaml:"alert"`
			Expr        string            `yaml:"expr"`
			For         string            `yaml:"for,omitempty"`
			Labels      map[string]string `yaml:"labels"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

// The alert rules can be loaded by Prometheus, by its own parser, are of metrics and labels that there are, and lead to sections that there are.
func TestAlertsCanBeLoaded(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	operating, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	var rules ruleFile
	strict := yaml.NewDecoder(bytes.NewReader(text))
	strict.KnownFields(true)
	if err := strict.Decode(&rules); err != nil {
		t.Fatal(err)
	}
	all, seen := families(t), map[string]bool{}
	for _, group := range rules.Groups {
		if group.Name == "" || seen[group.Name] {
			t.Errorf("group %q has no name of its own", group.Name)
		}
		seen[group.Name] = true
		for _, rule := range group.Rules {
			if !model.LegacyValidation.IsValidLabelName(rule.Alert) || seen[rule.Alert] {
				t.Errorf("alert %q has no name of its own", rule.Alert)
			}
			seen[rule.Alert] = true
			if rule.For != "" {
				if _, err := model.ParseDuration(rule.For); err != nil {
					t.Errorf("%s: %v", rule.Alert, err)
				}
			}
			if s := rule.Labels["severity"]; s != "warning" && s != "critical" || len(rule.Labels) != 1 {
				t.Errorf("%s has the labels %v", rule.Alert, rule.Labels)
			}
			labels, err := checkExpression(all, rule.Expr)
			if err != nil {
				t.Errorf("%s: %v", rule.Alert, err)
			}
			for name, text := range rule.Annotations {
				if err := checkTemplate(labels, text); err != nil {
					t.Errorf("%s: %s: %v", rule.Alert, name, err)
				}
			}
			section := strings.TrimPrefix(rule.Annotations["runbook"], "operating.md#")
			if !bytes.Contains(operating, []byte("\n### `"+section+"`\n")) {
				t.Errorf("%s leads to the section %q, which operating.md has not", rule.Alert, section)
			}
			if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
				t.Errorf("%s says nothing", rule.Alert)
			}
		}
	}
	if len(seen) < 10 {
		t.Errorf("only %d rules and groups", len(seen))
	}
}

// checkExpression returns the labels that the result may have.
func checkExpression(all map[string]family, text string) (labels map[string]string, err error) {
	expression, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		return nil, err
	}
	labels = map[string]string{"job": "j", "instance": "i"} // of every series that is scraped
	known := func(name string) bool {
		if name == "le" || labels[name] != "" {
			return true
		}
		return false
	}
	var problems []string
	parser.Inspect(expression, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok {
			of, ok := base(all, v.Name)
			if !ok {
				problems = append(problems, "no metric is called "+v.Name)
				return nil
			}
			for _, l := range all[of].labels {
				labels[l] = "v"
			}
			for _, m := range v.LabelMatchers {
				if m.Name != model.MetricNameLabel && !known(m.Name) {
					problems = append(problems, v.Name+" has no label "+m.Name)
				}
			}
		}
		return nil
	})
	kept := labels
	parser.Inspect(expression, func(n parser.Node, _ []parser.Node) error {
		if a, ok := n.(*parser.AggregateExpr); ok {
			kept = maps.Clone(labels)
			for l := range labels {
				if !slices.Contains(a.Grouping, l) {
					delete(kept, l)
				}
			}
			for _, l := range a.Grouping {
				if !known(l) {
					problems = append(problems, "nothing has the label "+l)
				}
			}
		}
		return nil
	})
	if len(problems) > 0 {
		return labels, fmt.Errorf("%s: %s", text, strings.Join(problems, "; "))
	}
	if strings.Contains(text, "group_left") {
		kept = labels // the side with more of them decides
	}
	return kept, nil
}

// checkTemplate expands an annotation with these labels, as Prometheus does.
func checkTemplate(labels map[string]string, text string) error {
	as := func(any) string { return "text" }
	t, err := template.New("").Option("missingkey=error").Funcs(template.FuncMap{"humanizePercentage": as, "humanizeDuration": as, "humanize": as}).
		Parse("{{$labels := .Labels}}{{$value := .Value}}" + text)
	if err != nil {
		return err
	}
	return t.Execute(io.Discard, map[string]any{"Labels": labels, "Value": 1.5})
}

// Every metric has its section in docs/operating.md, and every section its metric.
func TestEveryMetricIsExplained(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	var sections []string
	for _, m := range regexp.MustCompile("(?m)^### `(goslo_[a-z_]+)`$").FindAllSubmatch(text, -1) {
		sections = append(sections, string(m[1]))
	}
	names := slices.Sorted(maps.Keys(families(t)))
	slices.Sort(sections)
	if !slices.Equal(names, sections) {
		t.Errorf("metrics  %q\nsections %q", names, sections)
	}
}
