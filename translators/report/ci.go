package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// The renderers of this file are for build services: JUnit, GitHub and Markdown.

type junitSuites struct {
	XMLName xml.Name   `xml:"testsuites"`
	Suite   junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr,omitempty"`
	Line    int           `xml:"line,attr,omitempty"`
	Failure *junitFailure `xml:"failure"`
	Output  string        `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Type    Code   `xml:"type,attr"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// renderJUnit makes a failed test of each error and a passed one of each other
// finding; without findings there is one passed test.
func renderJUnit(w io.Writer, findings []located, _ RenderOptions) error {
	suite := junitSuite{Name: "meshknot"}
	for _, f := range findings {
		text := fmt.Sprintf("%s %s %s%s", f.Severity, f.Code, clean(f.backend()), clean(f.says()))
		if at := f.at.String(); at != "" {
			text = clean(at) + ": " + text
		}
		if f.Hint != "" {
			text += "\nhint: " + clean(f.Hint)
		}
		c := junitCase{Name: strings.TrimSpace(string(f.Code) + " " + clean(f.Source.String())), Class: "meshknot." + string(f.Code), File: clean(f.at.File), Line: f.at.Line}
		if f.Severity == Error {
			suite.Failures++
			c.Failure = &junitFailure{f.Code, clean(f.Message), text}
		} else {
			c.Output = text
		}
		suite.Cases = append(suite.Cases, c)
	}
	if len(suite.Cases) == 0 {
		suite.Cases = []junitCase{{Name: "no findings", Class: "meshknot"}}
	}
	suite.Tests = len(suite.Cases)
	text, err := xml.MarshalIndent(junitSuites{Suite: suite}, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, text)
	return err
}

// renderGitHub writes workflow commands, which become annotations of a change.
func renderGitHub(w io.Writer, findings []located, _ RenderOptions) error {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	var b bytes.Buffer
	for _, f := range findings {
		command := string(f.Severity)
		if f.Severity == Info {
			command = "notice"
		}
		var properties []string
		if f.at.File != "" {
			properties = append(properties, "file="+property.Replace(clean(f.at.File)))
		}
		if f.at.Line > 0 {
			properties = append(properties, fmt.Sprintf("line=%d", f.at.Line))
		}
		if f.at.Column > 0 {
			properties = append(properties, fmt.Sprintf("col=%d", f.at.Column))
		}
		properties = append(properties, "title="+property.Replace(string(f.Code)))
		message := clean(f.backend() + f.says())
		if f.Hint != "" {
			message += "\nhint: " + clean(f.Hint)
		}
		fmt.Fprintf(&b, "::%s %s::%s\n", command, strings.Join(properties, ","), data.Replace(message))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// renderMarkdown writes a table.
func renderMarkdown(w io.Writer, findings []located, _ RenderOptions) error {
	var b bytes.Buffer
	if len(findings) == 0 {
		b.WriteString("No findings.\n")
	} else {
		b.WriteString("| Severity | Code | Place | Finding | Hint |\n|---|---|---|---|---|\n")
	}
	for _, f := range findings {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", f.Severity, f.Code, cell(f.at.String()), cell(f.backend()+f.says()), cell(f.Hint))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// cell makes text of a table's cell literal.
func cell(s string) string {
	var b strings.Builder
	for _, r := range clean(s) {
		switch {
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '&':
			b.WriteString("&amp;")
		case strings.ContainsRune("\\`*_{}[]()#!|~", r):
			b.WriteRune('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
