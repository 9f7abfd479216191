package world

import (
	"testing"

	"google.golang.org/protobuf/proto"
)

// An endpoint resource has the size that is spoken of, in every version.
func TestEndpointSize(t *testing.T) {
	for _, c := range []Change{{EndpointType, 0, 0}, {EndpointType, 999, 12}, {EndpointType, 9999, 345}} {
		if n := proto.Size(c.Resource().Message); n != 127 {
			t.Errorf("change %v makes %d bytes, want 127", c, n)
		}
	}
}

// A sum tells a world from one in which a single resource has another version.
func TestSum(t *testing.T) {
	sum, count, err := World{Clusters: 5}.Sum(ClusterType, EndpointType)
	if err != nil || count != 10 {
		t.Fatalf("sum of %d resources, want 10; error %v", count, err)
	}
	old, err := Change{EndpointType, 3, 0}.Resource().Hash()
	if err != nil {
		t.Fatal(err)
	}
	next, err := Change{EndpointType, 3, 1}.Resource().Hash()
	if err != nil {
		t.Fatal(err)
	}
	if other := sum - old + next; other == sum {
		t.Errorf("two worlds have the sum %x", sum)
	}
}
