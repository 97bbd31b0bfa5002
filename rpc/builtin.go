package rpc

import "github.com/spdk-go/spdk-go/reactor"

type getMethodsParams struct {
	Current        bool `json:"current,omitempty" doc:"only those that may be called in the present state"`
	IncludeAliases bool `json:"include_aliases,omitempty" doc:"old names as well"`
}

func init() {
	Register(Method{
		Name:   "rpc_get_methods",
		States: Startup | Runtime,
		Doc:    "List the methods that may be called.",
	}, func(_ *reactor.Thread, req *Request[getMethodsParams, []string]) {
		req.Reply(req.Service().Methods(req.Params.Current, req.Params.IncludeAliases))
	})
}
