// A real grpc-go client of a listener. It does what its arguments name and says on standard output, one line of JSON
// a step, what it saw: `grpc-go-client STEP ADDRESS…`. A line on standard input lets a step that waits go on.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"
)

const (
	service = "envoy.service.auth.v3.Authorization"
	method  = "/" + service + "/Check"
	patient = 10 * time.Second
)

// raw passes messages through as they are.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(message any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(message.([]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, message any) error {
	*message.(*[]byte) = data.Materialize()
	return nil
}

func say(step string, seen any) {
	line, err := json.Marshal(map[string]any{"step": step, "seen": seen})
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

func call(connection *grpc.ClientConn, context context.Context, message string, options ...grpc.CallOption) (string, error) {
	var reply []byte
	options = append(options, grpc.ForceCodecV2(raw{}))
	err := connection.Invoke(context, method, []byte(message), &reply, options...)
	return string(reply), err
}

// ended is a reply, or the code of an error.
func ended(reply string, err error) string {
	if err != nil {
		return status.Code(err).String()
	}
	return reply
}

func within(limit time.Duration) context.Context {
	limited, cancel := context.WithTimeout(context.Background(), limit)
	context.AfterFunc(limited, cancel)
	return limited
}

func unary(connection *grpc.ClientConn) {
	var header, trailer metadata.MD
	reply, err := call(connection, within(patient), "echo", grpc.Header(&header), grpc.Trailer(&trailer))
	say("unary", ended(reply, err))
	say("content-type", header.Get("content-type"))
	// What the server adds for people to read may differ.
	for name := range trailer {
		if name != "grpc-message" && name != "grpc-status" {
			say("trailer", name)
		}
	}
	for _, size := range []int{0, 1, 65_535, 1_048_576} {
		reply, err := call(connection, within(patient), string(make([]byte, size)))
		say(fmt.Sprint("bytes ", size), ended(reply, err))
	}
}

func metadataOf(connection *grpc.ClientConn) {
	outgoing := metadata.AppendToOutgoingContext(within(patient),
		"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"portcullis-call", "0", "x-anything-bin", "\x00\xff")
	reply, err := call(connection, outgoing, "told")
	say("metadata", ended(reply, err))
}

func deadline(connection *grpc.ClientConn) {
	reply, err := call(connection, within(1500*time.Millisecond), "deadline")
	say("deadline as Check is told", ended(reply, err))
	began := time.Now()
	reply, err = call(connection, within(200*time.Millisecond), "never")
	say("deadline exceeded", ended(reply, err))
	took := time.Since(began)
	say("deadline exceeded in time", took >= 190*time.Millisecond && took < time.Second)
}

func cancel(connection *grpc.ClientConn) {
	context, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	say("cancelled", ended(call(connection, context, "never")))
	say("after it", ended(call(connection, within(patient), "echo")))
	var wait sync.WaitGroup
	counts := make([]int, 17)
	var lock sync.Mutex
	for range 200 {
		wait.Go(func() {
			_, err := call(connection, within(20*time.Millisecond), "never")
			lock.Lock()
			counts[status.Code(err)]++
			lock.Unlock()
		})
	}
	wait.Wait()
	say("200 that run out", counts[codes.DeadlineExceeded])
	say("after them", ended(call(connection, within(patient), "echo")))
}

func tooMuch(connection *grpc.ClientConn) {
	say("over the limit", ended(call(connection, within(patient), string(make([]byte, 2*1_048_576)))))
	say("after it", ended(call(connection, within(patient), "echo")))
}

func compressed(connection *grpc.ClientConn) {
	var header metadata.MD
	reply, err := call(connection, within(patient), "echo", grpc.UseCompressor(gzip.Name), grpc.Header(&header))
	say("gzip", ended(reply, err))
	say("after it", ended(call(connection, within(patient), "echo")))
}

func health(connection *grpc.ClientConn) {
	client := grpc_health_v1.NewHealthClient(connection)
	for _, name := range []string{"", service, "nobody"} {
		reply, err := client.Check(within(patient), &grpc_health_v1.HealthCheckRequest{Service: name})
		say("health of "+name, ended(reply.GetStatus().String(), err))
	}
	watch, err := client.Watch(within(patient), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		say("watch", status.Code(err).String())
		return
	}
	reply, err := watch.Recv()
	say("watch", ended(reply.GetStatus().String(), err))
}

func reflection(connection *grpc.ClientConn) {
	stream, err := grpc_reflection_v1.NewServerReflectionClient(connection).ServerReflectionInfo(within(patient))
	if err != nil {
		say("reflection", status.Code(err).String())
		return
	}
	_ = stream.Send(&grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{},
	})
	reply, err := stream.Recv()
	if err != nil {
		say("reflection", status.Code(err).String())
		return
	}
	for _, each := range reply.GetListServicesResponse().GetService() {
		say("reflection", each.GetName())
	}
	_ = stream.CloseSend()
	_, err = stream.Recv()
	say("reflection ends", err == io.EOF)
	unknown := connection.Invoke(within(patient), "/"+service+"/Chek", []byte{}, new([]byte), grpc.ForceCodecV2(raw{}))
	say("unknown method", status.Code(unknown).String())
}

// idle is silent but for keepalive pings, as often as grpc-go allows, on a connection with and on one without calls.
func idle(connection *grpc.ClientConn) {
	say("before", ended(call(connection, within(patient), "echo")))
	state := connection.GetState()
	lost, stop := context.WithTimeout(context.Background(), 22*time.Second)
	defer stop()
	changed := connection.WaitForStateChange(lost, state)
	say("connection lost", changed)
	say("after two pings", ended(call(connection, within(patient), "echo")))
}

// drained calls all the time, with the default service config and two addresses, until a line comes.
func drained(connection *grpc.ClientConn) {
	stop := make(chan struct{})
	var lock sync.Mutex
	outcomes := map[string]int{}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				outcome := ended(call(connection, within(patient), "soon"))
				lock.Lock()
				outcomes[outcome]++
				lock.Unlock()
			}
		})
	}
	say("calling", true)
	input := bufio.NewScanner(os.Stdin)
	input.Scan()
	close(stop)
	wait.Wait()
	calls := outcomes["soon"]
	delete(outcomes, "soon")
	say("failed calls", outcomes)
	say("many calls", calls > 100)
}

func main() {
	steps := map[string]func(*grpc.ClientConn){
		"unary": unary, "metadata": metadataOf, "deadline": deadline, "cancel": cancel, "too-much": tooMuch,
		"compressed": compressed, "health": health, "reflection": reflection, "idle": idle, "drained": drained,
	}
	addresses := manual.NewBuilderWithScheme("listeners")
	var state resolver.State
	for _, address := range os.Args[2:] {
		state.Addresses = append(state.Addresses, resolver.Address{Addr: address})
	}
	addresses.InitialState(state)
	connection, err := grpc.NewClient("listeners:///portcullis",
		grpc.WithResolvers(addresses),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: 10 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true,
		}),
	)
	if err != nil {
		panic(err)
	}
	defer connection.Close()
	step, known := steps[os.Args[1]]
	if !known {
		fmt.Fprintln(os.Stderr, "no such step:", os.Args[1])
		os.Exit(2)
	}
	step(connection)
}
