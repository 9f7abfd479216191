package engine

import "github.com/meshknot/meshknot/translators/input"

// Reader returns a reader of what the engine holds now: for who has to know of an
// object what no unit says, such as its status. It makes use of what is remembered
// and changes nothing. It is good until the engine is changed; several goroutines may
// have one each.
func (e *Engine) Reader() input.Reader { return e.store.Preview(nil).Reader(e.memory, nil) }
