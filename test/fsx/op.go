package fsx

import (
	"fmt"
	"math/rand/v2"
)

// MaxSize is what a file grows to at most, in bytes.
const MaxSize = 256 << 10

// maxLen is how many bytes an operation is about at most.
const maxLen = 64 << 10

// blockSize is what the borders of collapsed and inserted ranges are multiples of.
const blockSize = 4096

// Kind is what an operation does.
type Kind uint8

// Kinds of operations.
const (
	Read Kind = iota
	Write
	Append
	MapRead
	MapWrite
	Truncate
	Allocate
	AllocateKeep
	Punch
	Zero
	ZeroKeep
	Collapse
	Insert
	Copy
	Seek
	Sync
	Drop
	Reopen
	kinds
)

var names = [kinds]string{
	"read", "write", "append", "mapread", "mapwrite", "truncate", "allocate", "allocate-keep", "punch", "zero",
	"zero-keep", "collapse", "insert", "copy", "seek", "sync", "drop", "reopen",
}

// weights say how often a kind occurs.
var weights = [kinds]int{
	Read: 20, Write: 20, Append: 5, MapRead: 10, MapWrite: 10, Truncate: 8, Allocate: 3, AllocateKeep: 2, Punch: 5,
	Zero: 4, ZeroKeep: 2, Collapse: 2, Insert: 2, Copy: 6, Seek: 3, Sync: 3, Drop: 3, Reopen: 2,
}

// Op is one operation. Where Off and To lie behind what the file has, they are taken modulo its size.
type Op struct {
	Kind    Kind
	Off, To int64
	Len     int64
	Fill    uint64 // what is written depends on it
}

// String shows the operation as one line.
func (op Op) String() string {
	return fmt.Sprintf("%s off=%#x len=%#x to=%#x fill=%#x", names[op.Kind], op.Off, op.Len, op.To, op.Fill)
}

// Generate returns n operations that depend on nothing but the seed.
func Generate(seed uint64, n int) []Op {
	rng := rand.New(rand.NewPCG(seed, 0))
	var total int
	for _, w := range weights {
		total += w
	}
	ops := make([]Op, n)
	for i := range ops {
		op := &ops[i]
		for at := rng.IntN(total); ; op.Kind++ {
			if at -= weights[op.Kind]; at < 0 {
				break
			}
		}
		op.Off, op.To, op.Fill = place(rng), place(rng), rng.Uint64()
		switch rng.IntN(4) {
		case 0:
			op.Len = rng.Int64N(200)
		case 1:
			op.Len = blockSize * rng.Int64N(maxLen/blockSize)
		default:
			op.Len = rng.Int64N(maxLen >> rng.IntN(4))
		}
	}
	return ops
}

// place favours borders of pages and their neighbours.
func place(rng *rand.Rand) int64 {
	off := rng.Int64N(MaxSize)
	switch rng.IntN(6) {
	case 0, 1:
		off &^= blockSize - 1
	case 2:
		off = max(0, off&^(blockSize-1)-1)
	}
	return off
}
