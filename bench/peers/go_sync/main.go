// Command go_sync is the peer of channel_unbuffered_go, select_8 and skynet_go: what sync_bench does, by goroutines.
//
//	go_sync ROW
//
// For each line of standard input, which is a number of operations, it carries them out and prints what one took, in
// nanoseconds of processor time.
package main

import (
	"fmt"
	"log"
	"os"
	"syscall"
)

// processorTime is in nanoseconds, user and system, of all threads.
func processorTime() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func expect(sum, terms int64) {
	if sum != terms*(terms-1)/2 {
		log.Fatal("not the sum of all numbers")
	}
}

func channelUnbuffered(messages int64) {
	channel := make(chan int64)
	go func() {
		for i := int64(0); i < messages; i++ {
			channel <- i
		}
	}()
	sum := int64(0)
	for i := int64(0); i < messages; i++ {
		sum += <-channel
	}
	expect(sum, messages)
}

func select8(messages int64) {
	var from [8]chan int64
	for i := range from {
		from[i] = make(chan int64, 1)
	}
	random := uint64(88172645463325252)
	sum, received := int64(0), int64(0)
	for i := int64(0); i < messages; i++ {
		random ^= random << 13
		random ^= random >> 7
		random ^= random << 17
		from[random%8] <- i
		select {
		case received = <-from[0]:
		case received = <-from[1]:
		case received = <-from[2]:
		case received = <-from[3]:
		case received = <-from[4]:
		case received = <-from[5]:
		case received = <-from[6]:
		case received = <-from[7]:
		}
		sum += received
	}
	expect(sum, messages)
}

// skynet sends to the goroutine above. With room for all results: faster than the unbuffered channel that is usual.
func skynet(to chan<- int64, first, leaves int64) {
	if leaves == 1 {
		to <- first
		return
	}
	results := make(chan int64, 10)
	for i := 0; i < 10; i++ {
		go skynet(results, first, leaves/10)
		first += leaves / 10
	}
	sum := int64(0)
	for i := 0; i < 10; i++ {
		sum += <-results
	}
	to <- sum
}

func skynetOf(leaves int64) {
	result := make(chan int64, 1)
	go skynet(result, 0, leaves)
	expect(<-result, leaves)
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: go_sync ROW")
	}
	operations, found := map[string]func(int64){
		"channel_unbuffered": channelUnbuffered,
		"select_8":           select8,
		"skynet":             skynetOf,
	}[os.Args[1]]
	if !found {
		log.Fatal("there is no ", os.Args[1])
	}
	for {
		var count int64
		if _, err := fmt.Scanln(&count); err != nil {
			return
		}
		if os.Args[1] != "skynet" {
			operations(count/10 + 1) // warm-up, as on the other side
		}
		start := processorTime()
		operations(count)
		fmt.Println(float64(processorTime()-start) / float64(count))
	}
}
