package main

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spdk-go/spdk-go/rpc"
)

// completionTime is how long a shell that waits for us is kept waiting by an application.
const completionTime = 500 * time.Millisecond

// completeParam has the shell complete the values of a flag.
func (p *program) completeParam(cmd *cobra.Command, method string, v *param) {
	// The flag exists, so that this cannot fail.
	_ = cmd.RegisterFlagCompletionFunc(flagName(v.name),
		func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			return p.values(cmd, method, v)
		})
}

// completeArgs has the shell complete what is given without a flag.
func (p *program) completeArgs(method string, wanted []*param) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		skip := len(args)
		for _, v := range wanted {
			if v.given() {
				continue
			}
			if skip == 0 {
				return p.values(cmd, method, v)
			}
			skip--
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// values lists what a parameter can be.
func (p *program) values(cmd *cobra.Command, method string, v *param) ([]string, cobra.ShellCompDirective) {
	const noFiles = cobra.ShellCompDirectiveNoFileComp
	typ := v.typ
	if typ.Items != nil {
		typ = typ.Items
	}
	switch {
	case len(typ.Enum) > 0:
		return typ.Enum, noFiles
	case typ.Kind == "boolean":
		return []string{"true", "false"}, noFiles
	case v.name == "root_path" || method == "fuse_mount" && v.name == "mountpoint":
		return nil, cobra.ShellCompDirectiveFilterDirs
	case v.name == "mountpoint":
		return p.ask(cmd, "fuse_get_mounts", "mountpoint"), noFiles
	case v.name == "flag" && strings.HasPrefix(method, "log_"):
		return p.ask(cmd, "log_get_flags", ""), noFiles
	case method == "framework_get_config" && v.name == "name":
		return p.ask(cmd, "framework_get_subsystems", "subsystem"), noFiles
	case v.name == "name" && !strings.HasSuffix(method, "_create") &&
		(strings.HasPrefix(method, "fsdev_") || method == "fuse_mount"):
		return p.ask(cmd, "fsdev_get_fsdevs", "name"), noFiles
	}
	return nil, noFiles
}

// ask has the application list what it has: strings, the keys of an object, or one member of each object of an array.
// A shell has no place for errors, so that there is just nothing then.
func (p *program) ask(cmd *cobra.Command, method, member string) []string {
	ctx, cancel := context.WithTimeout(context.Background(), completionTime)
	defer cancel()
	c, err := rpc.Dial(ctx, p.socket)
	if err != nil {
		return nil
	}
	defer c.Close()
	var raw json.RawMessage
	if c.Call(ctx, method, nil, &raw) != nil {
		return nil
	}
	root, err := parse(raw)
	if err != nil {
		return nil
	}
	var list []string
	for _, m := range root.members {
		list = append(list, m.name)
	}
	for _, e := range root.elements {
		if member != "" {
			e = e.member(member)
		}
		if e != nil && e.kind == textNode {
			list = append(list, e.text)
		}
	}
	return list
}
