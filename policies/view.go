package policies

import (
	"context"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
)

// view is a tree of objects as topdown reads it: a store that never changes, so
// that a transaction holds nothing.
type view struct {
	storage.WritesNotSupported
	storage.PolicyNotSupported
	storage.TriggersNotSupported
	root *branch
	// base is the tree without the object that covers it at path.
	base *branch
	path []string
	// memory of the inventory; nil: the library is not ours.
	memory *memory
}

// still is a transaction of a store that never changes.
type still struct{}

func (still) ID() uint64 { return 0 }

// NewTransaction returns one; there is nothing to it.
func (view) NewTransaction(context.Context, ...storage.TransactionParams) (storage.Transaction, error) {
	return still{}, nil
}

// Commit does nothing.
func (view) Commit(context.Context, storage.Transaction) error { return nil }

// Abort does nothing.
func (view) Abort(context.Context, storage.Transaction) {}

// Read returns what stands at a path, as a value of OPA's.
func (v view) Read(_ context.Context, _ storage.Transaction, path storage.Path) (any, error) {
	at := v.root
	for i, key := range path {
		if at.leaf != nil {
			return inside(at.leaf, path[i:])
		}
		if at = at.child(key); at == nil {
			return nil, absent
		}
	}
	return at.ast(), nil
}

// absent tells topdown that a document is not there.
var absent = &storage.Error{Code: storage.NotFoundErr, Message: "document does not exist"}

// inside reads a part of an object.
func inside(value ast.Value, path storage.Path) (any, error) {
	for _, key := range path {
		var found *ast.Term
		switch v := value.(type) {
		case ast.Object:
			found = v.Get(ast.InternedTerm(key))
		case *ast.Array:
			if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < v.Len() && strconv.Itoa(i) == key {
				found = v.Elem(i)
			}
		}
		if found == nil {
			return nil, absent
		}
		value = found.Value
	}
	return value, nil
}

// Truncate is refused, as all writing is.
func (v view) Truncate(ctx context.Context, txn storage.Transaction, _ storage.TransactionParams, _ storage.Iterator) error {
	return v.Write(ctx, txn, storage.RemoveOp, nil, nil)
}
