package demo

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// echo answers every method with its own name.
func echo(name string) grpc.StreamHandler {
	return func(_ any, stream grpc.ServerStream) error {
		if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
			return err
		}
		return stream.SendMsg(wrapperspb.String(name))
	}
}

// What may become of a call, beside the name of whoever answers it.
const (
	outcomeDenied = "denied"
	outcomeFailed = "failed"
)

// ask makes one call and says what became of it.
func ask(ctx context.Context, conn *grpc.ClientConn, c call) (string, error) {
	for name, value := range c.headers {
		ctx = metadata.AppendToOutgoingContext(ctx, name, value)
	}
	var answer wrapperspb.StringValue
	err := conn.Invoke(ctx, c.method, &emptypb.Empty{}, &answer)
	switch {
	case err == nil:
		return answer.GetValue(), nil
	case status.Code(err) == codes.PermissionDenied:
		return outcomeDenied, nil
	case c.straight && status.Code(err) == codes.Unavailable:
		return outcomeDenied, nil // the handshake was refused already
	}
	return outcomeFailed, err
}
