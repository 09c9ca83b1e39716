// Conformance counts the rows of docs/conformance.md that a Go test proves.
//
// A test proves a row by citing its ID in a comment such as
//
//	// conforms: ENV-07, ENV-08
//
// above the test function, the case or the assertion. The program fails on an ID that does not exist, on a
// row that the document says cannot hold, on a citation that no test can reach, and below --min.
// It owns no goroutines.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	root := flag.String("root", ".", "the module's folder")
	least := flag.Float64("min", 0, "fail when fewer than this many percent of the rows of the RPC sections are covered")
	verbose := flag.Bool("v", false, "list the rows that nothing covers")
	flag.Parse()
	if err := run(*root, *least, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(root string, least float64, verbose bool) error {
	catalogue, err := readCatalogue(root)
	if err != nil {
		return err
	}
	citations, err := scan(root)
	if err != nil {
		return err
	}
	if err := verify(catalogue, citations); err != nil {
		return err
	}
	return newReport(catalogue, citations).write(os.Stdout, least, verbose)
}
