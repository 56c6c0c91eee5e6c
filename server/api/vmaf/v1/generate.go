// Package vmafv1 is the gRPC interface, generated from scoring.proto.
package vmafv1

// go generate needs protoc 3.21 (protobuf-compiler in Debian 13) and two plugins, which
// "go install" builds: google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12 and
// google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.0.
//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative scoring.proto
