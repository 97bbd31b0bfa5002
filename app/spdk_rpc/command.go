package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/rpc"
)

// program is what all commands share.
type program struct {
	socket  string
	timeout float64 // seconds
	retries int
	json    bool
	dryRun  bool
}

const (
	groupConfig  = "config"
	groupMethods = "methods"
)

// command returns the program as a command with a subcommand for each method.
func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:   progName + " METHOD",
		Short: "Call a method of a running application",
		Long: `Call a method of a running application through its RPC socket.

The exit code is 0 after success, 1 if the application refuses (or a file cannot be read or written), 2 for a wrong
command line, 3 if there is no connection or no answer in time.`,
		Version:           app.VersionString(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              noSuchMethod,
		PersistentPreRunE: func(*cobra.Command, []string) error { return p.check() },
		RunE:              func(*cobra.Command, []string) error { return errors.New("which method? see --help") },
	}
	root.SetGlobalNormalizationFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(flagName(name))
	})
	flags := root.PersistentFlags()
	flags.StringVarP(&p.socket, "socket", "s", defaultSocket, "`path` of the application's RPC socket")
	flags.Float64VarP(&p.timeout, "timeout", "t", defaultTimeout, "`seconds` to wait for the answer")
	flags.IntVarP(&p.retries, "retries", "r", 0, "`times` to try again, 0.2 s apart, if there is no connection")
	flags.BoolVar(&p.json, "json", false, "print the result, or the error, as JSON")
	flags.BoolVar(&p.dryRun, "dry-run", false, "print the request instead of sending it")
	root.AddGroup(&cobra.Group{ID: groupConfig, Title: "Configurations:"},
		&cobra.Group{ID: groupMethods, Title: "Methods:"})
	root.AddCommand(p.callCommand())
	root.AddCommand(p.configCommands()...)
	for _, m := range rpc.Methods() {
		if m.AliasOf == "" {
			root.AddCommand(p.methodCommand(&m))
		}
	}
	return root
}

// noSuchMethod refuses what is no method, and says which one may have been meant.
func noSuchMethod(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	if list := cmd.SuggestionsFor(args[0]); len(list) > 0 {
		return fmt.Errorf("there is no method %q here; %s?", args[0], strings.Join(list, ", "))
	}
	return fmt.Errorf("there is no method %q here; see --help, or call it with \"call\"", args[0])
}

func (p *program) check() error {
	switch {
	case !(p.timeout > 0):
		return fmt.Errorf("-t %v: the timeout should be more than 0", p.timeout)
	case p.retries < 0:
		return fmt.Errorf("-r %d: less than no retry makes no sense", p.retries)
	}
	return nil
}

func flagName(name string) string { return strings.ReplaceAll(name, "_", "-") }

// methodCommand returns the command of a method.
func (p *program) methodCommand(m *rpc.MethodInfo) *cobra.Command {
	cmd := &cobra.Command{
		Use:     m.Name,
		Short:   strings.TrimSuffix(firstSentence(m.Doc), "."),
		Long:    fmt.Sprintf("%s\n\nStates: %s.\n%s", m.Doc, m.States, describeResult(m.Result)),
		GroupID: groupMethods,
	}
	var wanted []*param // those without which the method does not work, in order
	var all []*param
	cmd.Flags().SortFlags = false
	if m.Params != nil {
		for _, f := range m.Params.Properties {
			v := &param{name: f.Name, typ: f.Type}
			usage := strings.ReplaceAll(f.Type.Description, "`", "'")
			if !f.Optional {
				usage += " (required)"
				wanted = append(wanted, v)
				cmd.Use += " " + strings.ToUpper(f.Name)
			}
			flag := cmd.Flags().VarPF(v, flagName(f.Name), "", usage)
			if f.Type.Kind == "boolean" {
				flag.NoOptDefVal = "true"
			}
			p.completeParam(cmd, m.Name, v)
			all = append(all, v)
		}
	}
	cmd.ValidArgsFunction = p.completeArgs(m.Name, wanted)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := place(args, wanted); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		return p.call(cmd, m.Name, object(all))
	}
	return cmd
}

// place gives the arguments without a flag to the parameters that are wanted and have none.
func place(args []string, wanted []*param) error {
	for _, v := range wanted {
		if v.given() {
			continue
		}
		if len(args) == 0 {
			return fmt.Errorf("%s is missing", v.name)
		}
		if err := v.Set(args[0]); err != nil {
			return fmt.Errorf("%s %q: %w", v.name, args[0], err)
		}
		args = args[1:]
	}
	if len(args) > 0 {
		return fmt.Errorf("what is %q? Parameters that can be left out are flags, see --help", args[0])
	}
	return nil
}

func firstSentence(doc string) string {
	if i := strings.Index(doc, ". "); i >= 0 {
		return doc[:i]
	}
	return doc
}

// callCommand returns the command for methods that only the application knows.
func (p *program) callCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "call METHOD [JSON]",
		Short: "Call any method, with parameters as JSON (- for the standard input)",
		Args:  cobra.RangeArgs(1, 2),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return p.ask(cmd, "rpc_get_methods", ""), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var params json.RawMessage
			if len(args) > 1 {
				text := []byte(args[1])
				if args[1] == "-" {
					var err error
					if text, err = io.ReadAll(cmd.InOrStdin()); err != nil {
						return &failure{exitRefused, err}
					}
				}
				if !json.Valid(text) {
					return fmt.Errorf("call %s: the parameters are not JSON", args[0])
				}
				params = text
			}
			return p.call(cmd, args[0], params)
		},
	}
}

// call calls a method and prints the result.
func (p *program) call(cmd *cobra.Command, method string, params json.RawMessage) error {
	if p.dryRun {
		return p.printRequest(cmd.OutOrStdout(), 1, method, params)
	}
	ctx, c, end, err := p.connect(cmd.Context())
	if err != nil {
		return err
	}
	defer end()
	var result json.RawMessage
	var in any // a nil RawMessage would be sent as null
	if params != nil {
		in = params
	}
	err = c.Call(ctx, method, in, &result)
	var f *failure
	switch err := asFailure(method, err, exitLost); {
	case errors.As(err, &f) && f.code == exitLost && method == "spdk_kill_instance" && ctx.Err() == nil:
		return nil // it was too dead to answer
	case err != nil:
		return err
	}
	return p.print(cmd.OutOrStdout(), result)
}

// request is a call as it is sent.
type request struct {
	Version string          `json:"jsonrpc"`
	ID      int             `json:"id"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params,omitempty"`
}

func (p *program) printRequest(w io.Writer, id int, method string, params json.RawMessage) error {
	text, err := encode(request{"2.0", id, method, params}, "  ")
	if err != nil {
		return err
	}
	return output(w, append(text, '\n'))
}

// describeResult says what a method answers.
func describeResult(t *rpc.Type) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Result: %s\n", typeName(t))
	describeFields(&b, t, "  ")
	return b.String()
}

func describeFields(b *strings.Builder, t *rpc.Type, indent string) {
	for t.Items != nil || t.Values != nil {
		if t.Items != nil {
			t = t.Items
		} else {
			t = t.Values
		}
	}
	for _, f := range t.Properties {
		fmt.Fprintf(b, "%s%s (%s)", indent, f.Name, typeName(f.Type))
		if f.Type.Description != "" {
			fmt.Fprintf(b, ": %s", f.Type.Description)
		}
		b.WriteByte('\n')
		describeFields(b, f.Type, indent+"  ")
	}
}

func typeName(t *rpc.Type) string {
	switch {
	case t.Items != nil:
		return "array of " + typeName(t.Items)
	case t.Values != nil:
		return "object, each value " + typeName(t.Values)
	case len(t.Enum) > 0:
		return "one of " + strings.Join(slices.Clone(t.Enum), ", ")
	case t.Kind == "":
		return "any"
	}
	return t.Kind
}
