// What million_fibers measures, of goroutines on one processor. Their stacks begin with 2 KiB and move when they grow,
// which needs a compiler that knows where all pointers are; guards are checks at the begin of every function.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Resident memory and page tables of this process, in bytes.
func usedMemory() int64 {
	status, err := os.Open("/proc/self/status")
	if err != nil {
		panic(err)
	}
	defer status.Close()
	var kibibytes int64
	for lines := bufio.NewScanner(status); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if words[0] == "VmRSS:" || words[0] == "VmPTE:" {
			number, _ := strconv.ParseInt(words[1], 10, 64)
			kibibytes += number
		}
	}
	return kibibytes * 1024
}

func main() {
	count := int64(1_000_000)
	if len(os.Args) > 1 {
		count, _ = strconv.ParseInt(os.Args[1], 10, 64)
	}
	runtime.GOMAXPROCS(1)
	var arrived, woken, ended int64
	first, second := make(chan struct{}), make(chan struct{})
	visitor := func() {
		arrived++
		<-first
		woken++
		<-second
		ended++
	}
	waitFor := func(counter *int64) {
		for *counter < count {
			runtime.Gosched()
		}
	}
	before := usedMemory()
	last := time.Now()
	lap := func() int64 {
		now := time.Now()
		elapsed := now.Sub(last).Nanoseconds() / count
		last = now
		return elapsed
	}
	for i := int64(0); i < count; i++ {
		go visitor()
	}
	waitFor(&arrived)
	spawn := lap()
	bytes := (usedMemory() - before) / count
	lap()
	close(first)
	waitFor(&woken)
	wake := lap()
	close(second)
	waitFor(&ended)
	end := lap()
	fmt.Printf("alive %d\nspawn_ns %d\nwake_ns %d\nend_ns %d\nbytes %d\n", count, spawn, wake, end, bytes)
}
