package api

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/julienschmidt/httprouter"
)

// access says who may call a route.
type access int

const (
	open  access = iota // anyone
	keyed               // who has an API key; the call's caller is set
	admin               // who has an admin token
)

// route is one method and pattern. Adding an endpoint is adding a row to
// routes and a path to openapi.yaml.
type route struct {
	method  string
	pattern string // httprouter's: a parameter is one segment
	access  access
	// unjoined routes answer on a node that belongs to no cluster too.
	unjoined bool
	handle   func(*call) error
}

func (r *route) name() string { return r.method + " " + r.pattern }

// router finds the route of a request by the path as it was written on the
// wire. Each parameter is one escaped segment, unescaped once: so an id may hold
// slashes, dots and percent signs. It never redirects and never cleans a path.
type router struct {
	tree    *httprouter.Router // used for Lookup alone
	methods []string           // in the order of the Allow header
}

// matched carries a route out of httprouter's Lookup, which can only hand back
// a function.
type matched struct {
	http.ResponseWriter
	route *route
}

func newRouter(routes []route) *router {
	rt := &router{tree: httprouter.New(), methods: []string{http.MethodDelete, http.MethodGet, http.MethodPatch, http.MethodPost}}
	for i := range routes {
		r := &routes[i]
		rt.tree.Handle(r.method, r.pattern, func(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) {
			w.(*matched).route = r
		})
	}
	return rt
}

// find returns the route and its unescaped parameters. A nil route comes with
// the methods that the path has, empty where no route has that path.
func (rt *router) find(r *http.Request) (*route, httprouter.Params, string) {
	path := wirePath(r.URL)
	method := r.Method
	if method == http.MethodHead { // net/http leaves the body out
		method = http.MethodGet
	}
	if found, params := rt.lookup(method, path); found != nil {
		return found, params, ""
	}
	var allow []string
	for _, m := range rt.methods {
		if found, _ := rt.lookup(m, path); found != nil {
			allow = append(allow, m)
		}
	}
	return nil, nil, strings.Join(allow, ", ")
}

func (rt *router) lookup(method, path string) (*route, httprouter.Params) {
	handle, params, _ := rt.tree.Lookup(method, path)
	if handle == nil {
		return nil, nil
	}
	for i := range params {
		value, err := url.PathUnescape(params[i].Value)
		if err != nil || value == "" {
			return nil, nil
		}
		params[i].Value = value
	}
	var m matched
	handle(&m, nil, params)
	return m.route, params
}

// wirePath is the path as the client wrote it. URL.EscapedPath is not: where
// RawPath holds a byte that should have been escaped it starts again from the
// unescaped Path, and an escaped slash becomes a separator.
func wirePath(u *url.URL) string {
	if u.RawPath != "" {
		return u.RawPath
	}
	return u.EscapedPath()
}
