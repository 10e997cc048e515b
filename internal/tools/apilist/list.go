package main

import (
	"fmt"
	"go/types"
	"slices"
	"strings"
)

// list returns the listing of a package: a line for each exported constant, function, method, type,
// field and variable, sorted.
func list(p *types.Package, path string) string {
	l := lister{p: p}
	for _, name := range p.Scope().Names() {
		if obj := p.Scope().Lookup(name); obj.Exported() {
			l.object(obj)
		}
	}
	slices.Sort(l.lines)
	return "package " + path + "\n\n" + strings.Join(l.lines, "\n") + "\n"
}

type lister struct {
	p     *types.Package
	lines []string
}

func (l *lister) add(format string, args ...any) {
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

// qualify names the package of a type, unless it is the one that is listed.
func (l *lister) qualify(p *types.Package) string {
	if p == l.p {
		return ""
	}
	return p.Name()
}

func (l *lister) typeString(t types.Type) string { return types.TypeString(t, l.qualify) }

func (l *lister) object(obj types.Object) {
	switch obj := obj.(type) {
	case *types.Const:
		l.add("const %s %s = %s", obj.Name(), l.typeString(obj.Type()), obj.Val().ExactString())
	case *types.Var:
		l.add("var %s %s", obj.Name(), l.typeString(obj.Type()))
	case *types.Func:
		l.add("%s", types.ObjectString(obj, l.qualify))
	case *types.TypeName:
		if obj.IsAlias() {
			l.add("type %s = %s", obj.Name(), l.typeString(types.Unalias(obj.Type())))
			return
		}
		l.named(obj.Type().(*types.Named))
	}
}

// named lists a type with what it consists of and its methods, those of embedded fields included.
func (l *lister) named(t *types.Named) {
	name := l.typeString(t)
	switch under := t.Underlying().(type) {
	case *types.Struct:
		l.add("type %s struct", name)
		for field := range under.Fields() {
			if field.Exported() && field.Embedded() {
				l.add("type %s struct, embeds %s", name, l.typeString(field.Type()))
			} else if field.Exported() {
				l.add("type %s struct, %s %s", name, field.Name(), l.typeString(field.Type()))
			}
		}
	case *types.Interface:
		l.add("type %s interface", name)
		for method := range under.Methods() {
			if method.Exported() {
				l.add("type %s interface, %s%s", name, method.Name(), l.signature(method))
			} else {
				l.add("type %s interface, with unexported methods", name)
			}
		}
		return // the method set has these again
	default:
		l.add("type %s %s", name, l.typeString(under))
	}
	ofValue := types.NewMethodSet(t)
	for selection := range types.NewMethodSet(types.NewPointer(t)).Methods() {
		method := selection.Obj().(*types.Func)
		if !method.Exported() {
			continue
		}
		receiver := "*" + name
		if ofValue.Lookup(l.p, method.Name()) != nil {
			receiver = name
		}
		l.add("method (%s) %s%s", receiver, method.Name(), l.signature(method))
	}
}

// signature returns the parameters and results of a function.
func (l *lister) signature(f *types.Func) string {
	return strings.TrimPrefix(l.typeString(f.Type()), "func")
}
