package ebpfmon

import (
	"fmt"

	"github.com/cilium/ebpf/asm"
)

// Registers, as the ABI of BPF has them: R0 is the result of a call, R1 to R5 are its arguments and lost by it, R6 to
// R9 stay, and RFP points behind 512 bytes of stack.
const (
	r0 = asm.R0
	r1 = asm.R1
	r2 = asm.R2
	r3 = asm.R3
	r4 = asm.R4
	r5 = asm.R5
	r6 = asm.R6
	r7 = asm.R7
	r8 = asm.R8
	r9 = asm.R9
	fp = asm.RFP
)

const (
	u32 = asm.Word
	u64 = asm.DWord
)

// The maps, as programs refer to them.
const (
	mapShared = "spdk_shared"
	mapFuse   = "spdk_fuse"
	mapSent   = "spdk_fuse_sent"
)

// builder puts a program together.
type builder struct {
	ins   asm.Instructions
	label string // for the next instruction
}

func (b *builder) add(ins ...asm.Instruction) {
	for _, i := range ins {
		if b.label != "" {
			i, b.label = i.WithSymbol(b.label), ""
		}
		b.ins = append(b.ins, i)
	}
}

// at names the next instruction, so that one can jump there.
func (b *builder) at(label string) {
	if b.label != "" { // two names at one place: give the first an instruction of its own
		b.add(asm.Mov.Reg(r0, r0))
	}
	b.label = label
}

// end returns the program, with the label exit at its end. What it returns means nothing to a tracepoint.
func (b *builder) end() asm.Instructions {
	b.at("exit")
	b.add(asm.Mov.Imm(r0, 0), asm.Return())
	return b.ins
}

// mapValue points dst into one of the arrays.
func mapValue(dst asm.Register, name string, off int) asm.Instruction {
	return asm.LoadMapValue(dst, 0, uint32(off)).WithReference(name)
}

// lookup finds the number in r1 in a table of the shared array, at off, with 2^bits places of size bytes each of which
// begins with a number: r0 becomes its place, or it goes on at miss. r2, r3 and r4 are lost. The place of a number is
// one of a few: see places.
func (b *builder) lookup(name string, off, bits, size int, miss string) {
	hit := name + "_hit"
	factor := uint32(hashFactor)
	b.add(
		asm.Mov.Reg32(r2, r1),
		asm.Mul.Imm32(r2, int32(factor)),
		asm.RSh.Imm32(r2, int32(32-bits)),
	)
	for i := range probes {
		b.add(
			asm.Mov.Reg(r3, r2),
			asm.Add.Imm(r3, int32(i)),
			asm.And.Imm(r3, 1<<bits-1), // so the verifier knows where r3 ends
			asm.Mul.Imm(r3, int32(size)),
			mapValue(r0, mapShared, off),
			asm.Add.Reg(r0, r3),
			asm.LoadMem(r4, r0, 0, u32),
			asm.JEq.Reg(r4, r1, hit),
		)
	}
	b.add(asm.Ja.Label(miss))
	b.at(hit)
}

// lookupThread is lookup of the thread in r1.
func (b *builder) lookupThread(name, miss string) {
	b.lookup(name, offIndex, indexBits, sizeIndexEntry, miss)
}

// reactor points dst to the reactor whose number is in n, which is lost.
func (b *builder) reactor(dst, n asm.Register) {
	b.add(
		asm.And.Imm(n, maxReactors-1),
		asm.Mul.Imm(n, int32(sizeReactor)),
		mapValue(dst, mapShared, offReactors),
		asm.Add.Reg(dst, n),
	)
}

// count adds the duration in r1 to the histogram at r5. Both are lost, and r2. Additions are atomic, because the tables
// of FUSE have several writers.
func (b *builder) count(name string) {
	b.add(
		asm.AddAtomic.Mem(r5, r1, u64, offHistSum),
		asm.LoadMem(r2, r5, offHistMax, u64),
		asm.JGE.Reg(r2, r1, name+"_max"),
		asm.StoreMem(r5, offHistMax, r1, u64), // another one may get lost here: it is no sum
	)
	b.at(name + "_max")
	// r2 becomes the number of bits of r1 >> firstShift, of which r1 has 2^30 at most.
	b.add(
		asm.RSh.Imm(r1, firstShift),
		asm.Mov.Imm(r2, 0),
		asm.JLT.Imm(r1, 1<<(Buckets-2), name+"_16"),
		asm.Mov.Imm(r1, 1<<(Buckets-2)),
	)
	for n := int32(16); n > 0; n /= 2 {
		b.at(fmt.Sprintf("%s_%d", name, n))
		b.add(
			asm.JLT.Imm(r1, 1<<n, fmt.Sprintf("%s_%d", name, n/2)),
			asm.Add.Imm(r2, n),
			asm.RSh.Imm(r1, n),
		)
	}
	b.at(name + "_0") // r1 is 0 or 1
	b.add(
		asm.Add.Reg(r2, r1),
		asm.And.Imm(r2, Buckets-1),
		asm.LSh.Imm(r2, 3),
		asm.Add.Reg(r5, r2),
		asm.Mov.Imm(r1, 1),
		asm.AddAtomic.Mem(r5, r1, u64, offHistBuckets),
	)
}
