package fleet

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/meshknot/meshknot/internal/xds"
)

// Proxies asks the admin listener of a controller, "host:port", which proxies are
// connected to it and what they have.
func Proxies(ctx context.Context, admin string) (xds.Status, error) {
	var s xds.Status
	text, err := ask(ctx, admin, "/status")
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("%s answers with what is no status: %w", admin, err)
	}
	return s, nil
}
