package all

import "github.com/meshknot/meshknot/translators/interpret"

// Interpreter returns what reads the artifacts of a back end.
func Interpreter(backend string) (interpret.New, bool) {
	read, ok := interpreters()[backend]
	return read, ok
}

func interpreters() map[string]interpret.New {
	return map[string]interpret.New{}
}
