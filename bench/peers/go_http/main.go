// Command go_http is a peer of http_rps_go_N: net/http, serving one file on a port that the kernel chooses.
//
//	go_http FILE
//
// It keeps the file in memory and sets the fields of the answer that coir's server sends. That is faster than
// http.FileServer, which opens the file, looks at it and seeks in it for each request.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: go_http FILE")
	}
	content, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	found, err := os.Stat(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	length := []string{strconv.Itoa(len(content))}
	kind := []string{"text/plain; charset=utf-8"}
	modified := []string{found.ModTime().UTC().Format(http.TimeFormat)}

	routes := http.NewServeMux()
	routes.HandleFunc("/"+filepath.Base(os.Args[1]), func(answer http.ResponseWriter, _ *http.Request) {
		fields := answer.Header()
		fields["Content-Length"] = length
		fields["Content-Type"] = kind
		fields["Last-Modified"] = modified
		answer.Write(content)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on http://%s/\n", listener.Addr())
	log.Fatal(http.Serve(listener, routes))
}
