package main

import (
	"encoding/json"
	"errors"
	"fmt"
)

// What methods answer, as far as it is shown. Fields that are missing are zero; there may be others.

type threadStat struct {
	Name    string `json:"name"`
	ID      uint64 `json:"id"`
	Cpumask string `json:"cpumask"`
	Busy    uint64 `json:"busy"`
	Idle    uint64 `json:"idle"`
	Active  uint64 `json:"active_pollers_count"`
	Timed   uint64 `json:"timed_pollers_count"`
	Paused  uint64 `json:"paused_pollers_count"`
}

type pollerStat struct {
	Name   string `json:"name"`
	ID     uint64 `json:"id"`
	State  string `json:"state"`
	Runs   uint64 `json:"run_count"`
	Busy   uint64 `json:"busy_count"`
	Period uint64 `json:"period_ticks"`
}

type threadPollers struct {
	Name   string       `json:"name"`
	ID     uint64       `json:"id"`
	Active []pollerStat `json:"active_pollers"`
	Timed  []pollerStat `json:"timed_pollers"`
	Paused []pollerStat `json:"paused_pollers"`
}

type coreThread struct {
	Name    string `json:"name"`
	ID      uint64 `json:"id"`
	Cpumask string `json:"cpumask"`
	Elapsed uint64 `json:"elapsed"`
}

type coreStat struct {
	Core        uint32       `json:"lcore"`
	NUMANode    int32        `json:"numa_id"`
	TID         uint64       `json:"tid"`
	Busy        uint64       `json:"busy"`
	Idle        uint64       `json:"idle"`
	InInterrupt bool         `json:"in_interrupt"`
	IRQ         uint64       `json:"irq"` // in the kernel's ticks of 10 ms, as the next two
	Sys         uint64       `json:"sys"`
	Usr         uint64       `json:"usr"`
	Freq        *uint64      `json:"core_freq"` // MHz
	Threads     []coreThread `json:"lw_threads"`
}

type reactorsAnswer struct {
	TickRate uint64     `json:"tick_rate"`
	PID      uint64     `json:"pid"`
	Reactors []coreStat `json:"reactors"`
}

type scheduler struct {
	Name     string  `json:"scheduler_name"`
	Governor string  `json:"governor_name"`
	Period   uint64  `json:"scheduler_period"` // µs
	Isolated string  `json:"isolated_core_mask"`
	Core     *uint64 `json:"scheduling_core"`
}

type opStat struct {
	Op     string `json:"op"`
	Count  uint64 `json:"count"`
	Errors uint64 `json:"errors"`
	Bytes  uint64 `json:"bytes"`
}

type ioStat struct {
	Read     uint64   `json:"bytes_read"`
	Written  uint64   `json:"bytes_written"`
	Ops      uint64   `json:"num_ops"`
	Errors   uint64   `json:"num_errors"`
	NoIO     uint64   `json:"no_io"`
	InFlight uint64   `json:"in_flight"`
	ByOp     []opStat `json:"ops"`
}

type channelStat struct {
	Thread string `json:"thread"`
	ID     uint64 `json:"thread_id"`
	Stat   ioStat `json:"stat"`
}

type fsdevStat struct {
	Name     string        `json:"name"`
	Stat     ioStat        `json:"stat"`
	Channels []channelStat `json:"channels"`
}

type fsdevInfo struct {
	Name       string `json:"name"`
	Module     string `json:"module_name"`
	Histograms bool   `json:"histograms"`
}

type bucket struct {
	Low   uint64 `json:"low"`  // ticks
	High  uint64 `json:"high"` // ticks, exclusive
	Count uint64 `json:"count"`
}

type opHistogram struct {
	Op      string   `json:"op"`
	Count   uint64   `json:"count"`
	Max     uint64   `json:"max"` // ticks
	Buckets []bucket `json:"buckets"`
}

// decode reads an answer. What is of another type than it should be is zero, and odd says so; err is for what cannot be
// read at all.
func decode(method string, raw json.RawMessage, into any) (odd string, err error) {
	err = json.Unmarshal(raw, into)
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		field := mismatch.Field
		if field == "" {
			field = "the result"
		}
		return fmt.Sprintf("%s: %s is a %s", method, field, mismatch.Value), nil
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", method, err)
	}
	return "", nil
}
