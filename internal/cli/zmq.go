package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/transport/zmq/curve"
)

func (a *app) zmq() *cobra.Command {
	c := &cobra.Command{
		Use:     "zmq",
		Short:   "Make keys for encrypted ZeroMQ",
		Example: `  goslo zmq keys compute1 --folder /etc/goslo/keys`,
		Args:    subcommandsOnly,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.zmqKeys())
	return c
}

func (a *app) zmqKeys() *cobra.Command {
	var folder string
	c := &cobra.Command{
		Use:   "keys NAME",
		Short: "Make a pair of keys for encrypted ZeroMQ",
		Long: `Make a pair of CURVE keys, with which processes on ZeroMQ encrypt what they send and show who they are, and
write it to two files, as CZMQ and pyzmq do:

  NAME.key_secret  stays with the process it is for (curve_key); nobody else may read it: its mode is 0600
  NAME.key         the public key, for its peers (curve_servers of its clients, curve_clients of its servers)

Files that are there already are left alone, and that is an error. The command works in every build of goslo, also
in one without ZeroMQ.`,
		Example: `  goslo zmq keys compute1 --folder /etc/goslo/keys
  goslo zmq keys api --json
  goslo serve lab --url 'zmq+redis://ctl-1/?curve_key=compute1.key_secret&curve_clients=clients/'
  goslo call lab echo --url 'zmq+redis://ctl-1/?curve_key=api.key_secret&curve_servers=compute1.key'`,
		Args: arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error { return a.makeKeys(folder, args[0]) },
	}
	c.Flags().StringVar(&folder, "folder", ".", "the folder to write to, made with mode 0700 if it is missing")
	_ = c.MarkFlagDirname("folder") // it is defined just above
	return c
}

func (a *app) makeKeys(folder, name string) error {
	if name == "" || strings.ContainsAny(name, `/\"`) || strings.HasPrefix(name, ".") || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }) {
		return usagef("%q cannot be the name of keys: it becomes the name of files; where they go says --folder", name)
	}
	pair, err := curve.NewPair()
	if err != nil {
		return err
	}
	files := curve.FilesOf(folder, name)
	if err := files.Write(pair, name); err != nil {
		return &usageError{cause: err}
	}
	if a.json {
		return a.printLine(struct {
			Name string    `json:"name"`
			Key  curve.Key `json:"key"`
			curve.Files
		}{name, pair.Public, files})
	}
	_, err = fmt.Fprintf(a.Out, `secret key  %s  (keep it here: curve_key)
public key  %s  (give it to peers: curve_clients, curve_servers)
            %s
`, files.Secret, files.Public, pair.Public)
	return err
}

// subcommandsOnly are the arguments of a command that only has others.
func subcommandsOnly(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath())
	}
	return nil
}
