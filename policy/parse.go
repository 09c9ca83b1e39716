package policy

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// parse reads a rule in the language.
func parse(text string) (check, error) {
	if text == "" {
		return constant(true), nil
	}
	p := &parser{tokens: tokenize(text)}
	c, err := p.either()
	if err != nil {
		return nil, err
	}
	if t := p.next(); t != "" {
		return nil, fmt.Errorf("%q: expected \"and\" or \"or\" before it", t)
	}
	return c, nil
}

// parseList reads a rule in the old form: any of the outer list's elements, all checks of an inner list.
func parseList(rule []any) (check, error) {
	if len(rule) == 0 {
		return constant(true), nil
	}
	var alternatives either
	for _, element := range rule {
		texts, isList := element.([]any)
		if !isList {
			texts = []any{element}
		}
		var every all
		for _, each := range texts {
			text, ok := each.(string)
			if !ok {
				return nil, fmt.Errorf("%v: a list of checks holds strings, or lists of strings", each)
			}
			c, err := parseCheck(text)
			if err != nil {
				return nil, err
			}
			every = append(every, c)
		}
		switch len(every) {
		case 0:
		case 1:
			alternatives = append(alternatives, every[0])
		default:
			alternatives = append(alternatives, every)
		}
	}
	switch len(alternatives) {
	case 0:
		return constant(false), nil
	case 1:
		return alternatives[0], nil
	default:
		return alternatives, nil
	}
}

// tokenize splits a rule at blanks, and parentheses off the ends of what is between: within, they are those of %(name)s.
func tokenize(text string) []string {
	var tokens []string
	for _, word := range strings.Fields(text) {
		core := strings.TrimLeft(word, "(")
		for range len(word) - len(core) {
			tokens = append(tokens, "(")
		}
		word = core
		core = strings.TrimRight(word, ")")
		if core != "" {
			tokens = append(tokens, core)
		}
		for range len(word) - len(core) {
			tokens = append(tokens, ")")
		}
	}
	return tokens
}

type parser struct{ tokens []string }

// next is the token that comes next; "" at the end.
func (p *parser) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

// take steps over the next token if it is the word.
func (p *parser) take(word string) bool {
	if !strings.EqualFold(p.next(), word) {
		return false
	}
	p.tokens = p.tokens[1:]
	return true
}

func (p *parser) either() (check, error) {
	first, err := p.all()
	if err != nil {
		return nil, err
	}
	checks := either{first}
	for p.take("or") {
		c, err := p.all()
		if err != nil {
			return nil, err
		}
		checks = append(checks, c)
	}
	if len(checks) == 1 {
		return first, nil
	}
	return checks, nil
}

func (p *parser) all() (check, error) {
	first, err := p.one()
	if err != nil {
		return nil, err
	}
	checks := all{first}
	for p.take("and") {
		c, err := p.one()
		if err != nil {
			return nil, err
		}
		checks = append(checks, c)
	}
	if len(checks) == 1 {
		return first, nil
	}
	return checks, nil
}

func (p *parser) one() (check, error) {
	switch {
	case p.take("not"):
		c, err := p.one()
		if err != nil {
			return nil, err
		}
		return not{c}, nil
	case p.take("("):
		c, err := p.either()
		if err != nil {
			return nil, err
		}
		if !p.take(")") {
			return nil, errors.New("a parenthesis is not closed")
		}
		return c, nil
	case len(p.tokens) == 0:
		return nil, errors.New("it ends where a check is expected")
	}
	token := p.tokens[0]
	switch strings.ToLower(token) {
	case ")", "and", "or":
		return nil, fmt.Errorf("%q: a check is expected here", token)
	}
	p.tokens = p.tokens[1:]
	if first := token[0]; len(token) > 1 && (first == '"' || first == '\'') && token[len(token)-1] == first {
		return nil, fmt.Errorf("%s: a quoted string is no check; a check is KIND:MATCH", token)
	}
	return parseCheck(token)
}

var (
	pathPattern   = regexp.MustCompile(`^[\pL_][\pL\pN_-]*(\.[\pL_][\pL\pN_-]*)*$`)
	quotedPattern = regexp.MustCompile(`^('[^'\\]*'|"[^"\\]*")$`)
	numberPattern = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)
)

// parseCheck reads KIND:MATCH.
func parseCheck(text string) (check, error) {
	switch text {
	case "@":
		return constant(true), nil
	case "!":
		return constant(false), nil
	}
	kind, match, ok := strings.Cut(text, ":")
	if !ok {
		return nil, fmt.Errorf("%q: a check is KIND:MATCH, or one of @ and ! alone", text)
	}
	switch kind {
	case "rule":
		return &reference{name: match}, nil
	case "http", "https":
		return nil, fmt.Errorf("%q: rules that ask a remote server are not supported; write the rule itself", text)
	}
	t, err := parseTemplate(match)
	if err != nil {
		return nil, err
	}
	switch {
	case kind == "role":
		return role{t}, nil
	case kind == "True" || kind == "False" || kind == "None" || numberPattern.MatchString(kind):
		return literal{kind, kind, t}, nil
	case quotedPattern.MatchString(kind):
		return literal{kind, kind[1 : len(kind)-1], t}, nil
	case pathPattern.MatchString(kind):
		return credential{strings.Split(kind, "."), t}, nil
	default:
		return nil, fmt.Errorf("%q: before the colon stands rule, role, the name of a credential (user.domain.id), or a literal ('text', 5, True)", text)
	}
}
