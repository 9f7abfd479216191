package xds

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

// TestHealth follows what the health service says from the beginning to the end.
func TestHealth(t *testing.T) {
	s := New(Options{})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, lis) }()
	conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	bounded, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	watch, err := healthv1.NewHealthClient(conn).Watch(bounded, &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		do   func()
		want healthv1.HealthCheckResponse_ServingStatus
	}{
		{func() {}, healthv1.HealthCheckResponse_NOT_SERVING},
		{func() {
			if err := s.Apply(nil); err != nil {
				t.Fatal(err)
			}
		}, healthv1.HealthCheckResponse_SERVING},
		{stop, healthv1.HealthCheckResponse_NOT_SERVING},
	} {
		step.do()
		if got, err := watch.Recv(); err != nil || got.GetStatus() != step.want {
			t.Fatalf("got %v, %v, want %s", got, err, step.want)
		}
	}
	cancel() // a watch lasts as long as its client wants, or until the grace is over
	if err := <-done; err != nil {
		t.Error(err)
	}
}
