package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spdk-go/spdk-go/rpc"
)

// configCommands returns what is made of several calls.
func (p *program) configCommands() []*cobra.Command {
	return []*cobra.Command{p.saveConfig(), p.saveSubsystemConfig(), p.loadConfig(), p.loadSubsystemConfig()}
}

var errNothingToSend = errors.New("--dry-run: what is sent depends on the answers")

// withClient runs fn while there is a connection. The timeout is that of all calls together.
func (p *program) withClient(cmd *cobra.Command, fn func(ctx context.Context, c *rpc.Client) error) error {
	ctx, c, end, err := p.connect(cmd.Context())
	if err != nil {
		return err
	}
	defer end()
	return asFailure(cmd.Name(), fn(ctx, c), exitRefused)
}

func (p *program) saveConfig() *cobra.Command {
	var file string
	var subsystems []string
	cmd := &cobra.Command{
		Use:   "save_config",
		Short: "Write down the configuration of the application",
		Long: `Write down the calls that bring an application to where this one is, for load_config or spdk_tgt -c.
A file is replaced when all is there, and on the disk; until then it stays as it was.`,
		GroupID: groupConfig,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if p.dryRun {
				return errNothingToSend
			}
			return p.withClient(cmd, func(ctx context.Context, c *rpc.Client) error {
				cfg, err := rpc.SaveConfig(ctx, c, subsystems...)
				if err != nil {
					return err
				}
				if file != "" {
					return cfg.WriteFile(file)
				}
				text, err := cfg.Text()
				if err != nil {
					return err
				}
				return output(cmd.OutOrStdout(), text)
			})
		},
	}
	cmd.Flags().StringVarP(&file, "output", "o", "", "`file` to write, instead of the standard output")
	cmd.Flags().StringSliceVar(&subsystems, "subsystems", nil, "`list` of those wanted, with what they depend on")
	return cmd
}

func (p *program) saveSubsystemConfig() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:     "save_subsystem_config",
		Short:   "Write down the configuration of a subsystem",
		GroupID: groupConfig,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case name == "":
				return errors.New("save_subsystem_config: of which? see -n")
			case p.dryRun:
				return p.printRequest(cmd.OutOrStdout(), 1, "framework_get_config", object([]*param{
					{name: "name", raw: json.RawMessage(fmt.Sprintf("%q", name))}}))
			}
			return p.withClient(cmd, func(ctx context.Context, c *rpc.Client) error {
				cfg, err := rpc.SaveSubsystemConfig(ctx, c, name)
				if err != nil {
					return err
				}
				text, err := encode(cfg, "  ")
				if err != nil {
					return err
				}
				return output(cmd.OutOrStdout(), append(text, '\n'))
			})
		},
	}
	cmd.Flags().StringVarP(&name, "name", "n", "", "the `subsystem`")
	_ = cmd.RegisterFlagCompletionFunc("name", // the flag exists, so that this cannot fail
		func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			return p.ask(cmd, "framework_get_subsystems", "subsystem"), cobra.ShellCompDirectiveNoFileComp
		})
	return cmd
}

func (p *program) loadConfig() *cobra.Command {
	return p.loadCommand("load_config", "Make the calls of a configuration",
		`Make the calls of a configuration: those that the application takes in its state, then framework_start_init if it
waits for that (spdk_tgt --wait-for-rpc), then the others. It stops at the first that is refused.`,
		rpc.ParseConfig, rpc.LoadConfig)
}

func (p *program) loadSubsystemConfig() *cobra.Command {
	return p.loadCommand("load_subsystem_config", "Make the calls of a subsystem's configuration",
		"Make the calls of a subsystem's configuration that the application takes in its state.",
		rpc.ParseSubsystemConfig, rpc.LoadSubsystemConfig)
}

// loadCommand returns a command that reads a configuration and makes its calls.
func (p *program) loadCommand(name, short, long string, parse func(name string, text []byte) (*rpc.Config, error),
	load func(ctx context.Context, c *rpc.Client, cfg *rpc.Config) (int, error)) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:     name,
		Short:   short,
		Long:    long,
		GroupID: groupConfig,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := readConfig(cmd.InOrStdin(), file, parse)
			if err != nil {
				return err
			}
			if p.dryRun {
				return p.printCalls(cmd.OutOrStdout(), cfg)
			}
			return p.withClient(cmd, func(ctx context.Context, c *rpc.Client) error {
				left, err := load(ctx, c, cfg)
				if err == nil && left > 0 {
					fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s: %d calls were left out, since their state has passed\n", progName,
						name, left)
				}
				return err
			})
		},
	}
	cmd.Flags().StringVarP(&file, "json-conf", "j", "-", "`file` to read, - for the standard input")
	return cmd
}

func readConfig(stdin io.Reader, file string, parse func(string, []byte) (*rpc.Config, error)) (*rpc.Config, error) {
	var text []byte
	var err error
	if file == "-" {
		file = "standard input"
		text, err = io.ReadAll(stdin)
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, &failure{exitRefused, err}
	}
	return parse(file, text)
}

func (p *program) printCalls(w io.Writer, cfg *rpc.Config) error {
	id := 0
	var b strings.Builder
	for _, s := range cfg.Subsystems {
		for _, e := range s.Config {
			for _, call := range e.Calls {
				id++
				if err := p.printRequest(&b, id, call.Method, call.Params); err != nil {
					return err
				}
			}
		}
	}
	return output(w, []byte(b.String()))
}
