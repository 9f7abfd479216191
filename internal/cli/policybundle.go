package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/policies"
	"github.com/meshknot/meshknot/translators/report"
)

// maxKeyBytes is more than any key has.
const maxKeyBytes = 64 << 10

func policyBundle(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "bundle",
		Short: "Build, sign and verify bundles of rules",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return cannot("want build, sign or verify") },
	}
	c.AddCommand(bundleBuild(a), bundleSign(a), bundleVerify(a))
	return c
}

func bundleBuild(a *app) *cobra.Command {
	var dirs []string
	var shipped bool
	var revision, out, key string
	c := &cobra.Command{
		Use:   "build (-f DIR | --shipped) --revision N -o FILE",
		Short: "Pack rules into a bundle that opa reads too",
		Long: `Build packs the rules of directories, or those that meshknot ships, with the
library that they use. Their tests and samples stay out. The same rules and the
same revision give the same file.`,
		Example: "  meshknot policy bundle build --shipped --revision 1 -o rules.tar.gz\n" +
			"  meshknot policy bundle build --shipped --revision 1.4.0 -o rules.tar.gz --sign-key private.pem",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if len(dirs) == 0 && !shipped {
				return cannot("want -f DIR or --shipped")
			}
			var modules []policies.Module
			if shipped {
				modules = policies.Shipped()
			}
			for _, d := range dirs {
				more, err := policies.Load(os.DirFS(d), "")
				if err != nil {
					return status{exitCannot, err}
				}
				modules = append(modules, more...)
			}
			signing, err := readSigningKey(key)
			if err != nil {
				return err
			}
			packed, problems, err := policies.BuildBundle(modules, revision, signing)
			if err != nil {
				return status{exitCannot, err}
			}
			if len(problems) > 0 {
				return a.problems(problems)
			}
			return a.writeBundle(out, packed)
		},
	}
	fl := c.Flags()
	fl.StringArrayVarP(&dirs, "filename", "f", nil, "directory of rules (repeatable)")
	fl.BoolVar(&shipped, "shipped", false, "the rules that meshknot ships")
	fl.StringVar(&revision, "revision", "", "whole number, or a version such as 1.4.0, that grows with every bundle")
	fl.StringVarP(&out, "output", "o", "", "file to write, or - for standard output")
	fl.StringVar(&key, "sign-key", "", "private key in PEM to sign with: RSA, ECDSA or Ed25519")
	_ = c.MarkFlagRequired("revision")
	_ = c.MarkFlagRequired("output")
	_ = c.MarkFlagDirname("filename")
	return c
}

func bundleSign(a *app) *cobra.Command {
	var out, key string
	c := &cobra.Command{
		Use:   "sign BUNDLE --sign-key KEY",
		Short: "Sign a bundle, in the place of the signature that it may have",
		Long: `Sign signs what the bundle holds now, whoever made it: verify it first where it
comes from somebody else.`,
		Example: "  meshknot policy bundle sign rules.tar.gz --sign-key private.pem",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			signing, err := readSigningKey(key)
			if err != nil {
				return err
			}
			packed, err := readLimited(args[0], policies.MaxBundleBytes)
			if err != nil {
				return status{exitCannot, err}
			}
			signed, err := policies.SignBundle(packed, signing)
			if err != nil {
				return a.refused(args[0], err)
			}
			if out == "" {
				out = args[0]
			}
			return a.writeBundle(out, signed)
		},
	}
	c.Flags().StringVar(&key, "sign-key", "", "private key in PEM to sign with: RSA, ECDSA or Ed25519")
	c.Flags().StringVarP(&out, "output", "o", "", "file to write, or - for standard output (default: the bundle itself)")
	_ = c.MarkFlagRequired("sign-key")
	return c
}

func bundleVerify(a *app) *cobra.Command {
	var key, least string
	c := &cobra.Command{
		Use:   "verify BUNDLE --key KEY",
		Short: "Say whether a bundle is the one that was signed",
		Long: `Verify refuses a bundle without a signature of the key, one with a file that was
changed, added or taken away since, and one that is older than demanded.`,
		Example: "  meshknot policy bundle verify rules.tar.gz --key public.pem --min-revision 1.4.0",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			public, err := readPublicKey(key)
			if err != nil {
				return err
			}
			b, err := readBundle(args[0], policies.Trust{Key: public, MinRevision: least})
			if err != nil {
				return a.refused(args[0], err)
			}
			fmt.Fprintf(a.out, "%s: revision %s, %s, verified\n", args[0], b.Revision, counted(len(b.Modules), "file"))
			return nil
		},
	}
	c.Flags().StringVar(&key, "key", "", "public key or certificate in PEM")
	c.Flags().StringVar(&least, "min-revision", "", "oldest revision that is taken")
	_ = c.MarkFlagRequired("key")
	return c
}

// refused shows why a bundle is not used. What is no refusal is a question that
// could not be answered.
func (a *app) refused(file string, err error) error {
	if !errors.As(err, &policies.Refused{}) {
		return status{exitCannot, err}
	}
	f := report.New(report.BundleRefused, report.Ref{}, err.Error())
	f.At = report.Position{File: file}
	return a.problems(report.Report{f})
}

// readSigningKey reads a private key; none where no file is named. Nothing of
// the file is ever shown.
func readSigningKey(file string) (*policies.SigningKey, error) {
	if file == "" {
		return nil, nil
	}
	source, err := readLimited(file, maxKeyBytes)
	if err != nil {
		return nil, status{exitCannot, err}
	}
	key, err := policies.ParseSigningKey(source)
	if err != nil {
		return nil, cannot("%s: %w", file, err)
	}
	return key, nil
}

func readPublicKey(file string) (*policies.PublicKey, error) {
	source, err := readLimited(file, maxKeyBytes)
	if err != nil {
		return nil, status{exitCannot, err}
	}
	key, err := policies.ParsePublicKey(source)
	if err != nil {
		return nil, cannot("%s: %w", file, err)
	}
	return key, nil
}

// writeBundle writes a bundle as a whole or not at all.
func (a *app) writeBundle(file string, packed []byte) error {
	if file == "-" {
		_, err := a.out.Write(packed)
		return err
	}
	next, err := os.CreateTemp(filepath.Dir(file), ".bundle-*")
	if err != nil {
		return status{exitCannot, err}
	}
	defer func() { _ = os.Remove(next.Name()) }() // gone already when all went well
	_, err = next.Write(packed)
	if err := errors.Join(err, next.Chmod(0o644), next.Close()); err != nil {
		return status{exitCannot, err}
	}
	if err := os.Rename(next.Name(), file); err != nil {
		return status{exitCannot, err}
	}
	fmt.Fprintf(a.err, "%d bytes written to %s\n", len(packed), file)
	return nil
}
