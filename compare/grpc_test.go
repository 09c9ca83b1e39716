package compare_test

import (
	"context"
	"fmt"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/goslo/goslo/internal/workload"
)

// A grpcEcho is a unary method over one TCP connection without TLS: the argument is a string in a protocol buffer, the request context is
// metadata. There is no broker, and the server has to be known.
type grpcEcho struct {
	conn *grpc.ClientConn
	ctx  context.Context //nolint:containedctx // has the metadata
	arg  *wrapperspb.StringValue
}

const grpcMethod = "/bench.Echo/Echo"

// An echoServer is what the generated code of a service would call.
type echoServer interface {
	echo(ctx context.Context, arg *wrapperspb.StringValue) (*wrapperspb.StringValue, error)
}

type echoing struct{}

func (echoing) echo(ctx context.Context, arg *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
	if md, _ := metadata.FromIncomingContext(ctx); len(md.Get("request_id")) != 1 {
		return nil, fmt.Errorf("the request context is %v", md)
	}
	return wrapperspb.String(arg.GetValue()), nil
}

func newGRPC(tb testing.TB) *grpcEcho {
	tb.Helper()
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "bench.Echo", HandlerType: (*echoServer)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Echo", Handler: func(srv any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			arg := new(wrapperspb.StringValue)
			if err := decode(arg); err != nil {
				return nil, err
			}
			return srv.(echoServer).echo(ctx, arg)
		}}},
	}, echoing{})
	l := must(net.Listen("tcp", "127.0.0.1:0"))(tb)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	e := &grpcEcho{arg: wrapperspb.String(workload.Payload())}
	e.conn = must(grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials())))(tb)
	md := metadata.MD{}
	for key, value := range workload.Keys() {
		md.Set(key, fmt.Sprint(value))
	}
	e.ctx = metadata.NewOutgoingContext(context.Background(), md)
	tb.Cleanup(func() {
		if err := e.conn.Close(); err != nil {
			tb.Error(err)
		}
		server.Stop()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	})
	return e
}

func (e *grpcEcho) call() error {
	var got wrapperspb.StringValue
	if err := e.conn.Invoke(e.ctx, grpcMethod, e.arg, &got); err != nil {
		return err
	}
	if got.GetValue() != e.arg.GetValue() {
		return fmt.Errorf("the echo was %q", got.GetValue())
	}
	return nil
}
