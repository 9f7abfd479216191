package gatewayapi

// Condition is a condition in the words of Gateway API. It carries no time and
// no generation: it is what a translation finds, not what a cluster went through.
type Condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message,omitempty"`
}

// The values of Condition.Status.
const (
	statusTrue  = "True"
	statusFalse = "False"
)

// The types of conditions.
const (
	condAccepted     = "Accepted"
	condProgrammed   = "Programmed"
	condResolvedRefs = "ResolvedRefs"
	condConflicted   = "Conflicted"
)

// holds makes a condition that is true, for a reason of the same or another name.
func holds(kind, reason, message string) Condition {
	return Condition{kind, statusTrue, reason, message}
}

// fails makes a condition that is false.
func fails(kind, reason, message string) Condition {
	return Condition{kind, statusFalse, reason, message}
}
