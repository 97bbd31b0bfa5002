package ebpfmon

import "github.com/cilium/ebpf/asm"

// Where the programs of FUSE keep the key and the value of the map of requests, and the times of one.
const (
	stackReq   = -8
	stackSent  = stackReq - 16
	stackQueue = stackSent - 8
	stackRead  = stackQueue - 8
	stackWrite = stackRead - 8
	stackEnd   = stackWrite - 8
)

// fuseSend is run at tracepoint fuse_request_send: a request has been made, and is about to be queued for /dev/fuse.
// If its connection is one of ours, it is put down when that was. The key is its address: it may not have a number yet.
//
//	r6: the request; r8: its connection's place
func fuseSend(k *fuseKernel) asm.Instructions {
	b := &builder{}
	b.add(
		asm.LoadMem(r6, r1, 0, u64),
		asm.LoadMem(r1, r6, k.mount, u64),
		asm.LoadMem(r1, r1, k.conn, u64),
		asm.LoadMem(r1, r1, k.dev, u32),
	)
	b.lookup("send", offConns, connBits, sizeConnEntry, "exit")
	b.add(
		asm.LoadMem(r8, r0, offConnMount, u32),
		asm.FnKtimeGetNs.Call(),
		asm.StoreMem(fp, stackSent+offSentAt, r0, u64),
		asm.StoreMem(fp, stackSent+offSentMount, r8, u64),
		asm.StoreMem(fp, stackReq, r6, u64),
		asm.LoadMapPtr(r1, 0).WithReference(mapSent),
		asm.Mov.Reg(r2, fp),
		asm.Add.Imm(r2, stackReq),
		asm.Mov.Reg(r3, fp),
		asm.Add.Imm(r3, stackSent),
		asm.Mov.Imm(r4, 0), // BPF_ANY: a request that never ended may have had the same address
		asm.FnMapUpdateElem.Call(),
	)
	return b.end()
}

// fuseEnd is run at tracepoint fuse_request_end: a request is over, because it has been answered or for other reasons.
// In the first case this happens inside of the write(2) of the answer, before which the reactor has put down when it
// was, as when it had read the request: see [Requests].
//
//	r6: the request; r7: its stamp; r8: its connection's place, then its operation's record
func fuseEnd(k *fuseKernel, shards int) asm.Instructions {
	b := &builder{}
	b.add(
		asm.LoadMem(r6, r1, 0, u64),
		asm.StoreMem(fp, stackReq, r6, u64),
		asm.LoadMapPtr(r1, 0).WithReference(mapSent),
		asm.Mov.Reg(r2, fp),
		asm.Add.Imm(r2, stackReq),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(r0, 0, "exit"), // another's, or from before the beginning
		asm.LoadMem(r8, r0, offSentMount, u64),
		asm.LoadMem(r1, r0, offSentAt, u64),
		asm.StoreMem(fp, stackQueue, r1, u64),
		asm.LoadMapPtr(r1, 0).WithReference(mapSent),
		asm.Mov.Reg(r2, fp),
		asm.Add.Imm(r2, stackReq),
		asm.FnMapDeleteElem.Call(),
	)
	b.stamp(k)
	b.record(k, shards)

	// Was it this program's reactor that has ended it, by an answer.
	b.add(
		asm.LoadMem(r1, r6, k.unique, u64),
		asm.LoadMem(r2, r7, offStampUnique, u64),
		asm.JNE.Reg(r1, r2, "unserved"),
		asm.LoadMem(r1, r7, offStampRead, u64),
		asm.StoreMem(fp, stackRead, r1, u64),
		asm.LoadMem(r2, r7, offStampWrite, u64),
		asm.StoreMem(fp, stackWrite, r2, u64),
		asm.JNE.Imm(r2, 0, "answered"),
	)
	b.at("unserved")
	b.add(
		asm.Mov.Imm(r1, 1),
		asm.AddAtomic.Mem(r8, r1, u64, offUnserved),
		asm.Ja.Label("exit"),
	)
	b.at("answered")
	b.add(
		asm.FnKtimeGetNs.Call(),
		asm.StoreMem(fp, stackEnd, r0, u64),
	)
	b.between(stackQueue, stackRead, offQueue, "queue")
	b.between(stackRead, stackWrite, offService, "service")
	b.between(stackWrite, stackEnd, offReply, "reply")
	return b.end()
}

// stamp points r7 to where a reactor puts down what it does with the request at r6, of the connection in r8.
func (b *builder) stamp(k *fuseKernel) {
	b.add(
		asm.And.Imm(r8, maxMounts-1),
		asm.LoadMem(r2, r6, k.unique, u64),
		asm.RSh.Imm(r2, 1), // bit 0 is for INTERRUPT
		asm.And.Imm(r2, maxStamps-1),
		asm.Mov.Reg(r1, r8),
		asm.Mul.Imm(r1, maxStamps),
		asm.Add.Reg(r1, r2),
		asm.Mul.Imm(r1, int32(sizeStamp)),
		mapValue(r7, mapFuse, 0),
		asm.Add.Reg(r7, r1),
	)
}

// record points r8 to the record of the operation of the request at r6, of the connection in r8. There is one per share
// of the CPUs, so that reactors seldom write to the same.
func (b *builder) record(k *fuseKernel, shards int) {
	b.add(
		asm.FnGetSmpProcessorId.Call(),
		asm.And.Imm(r0, int32(shards-1)),
		asm.Mul.Imm(r0, maxMounts),
		asm.Add.Reg(r0, r8),
		asm.Mul.Imm(r0, int32(sizeTable)),
		asm.LoadMem(r1, r6, k.opcode, u32),
		asm.JLT.Imm(r1, maxOpcodes, "known"),
		asm.Mov.Imm(r1, 0),
	)
	b.at("known")
	b.add(
		asm.And.Imm(r1, maxOpcodes-1),
		asm.Mul.Imm(r1, int32(sizeOp)),
		mapValue(r8, mapFuse, offTables),
		asm.Add.Reg(r8, r0),
		asm.Add.Reg(r8, r1),
	)
}

// between counts the time from one moment to another, both on the stack, in the histogram at an offset from r8. The
// clocks of the kernel and of the process may be some nanoseconds apart: less than nothing is nothing.
func (b *builder) between(from, to int16, hist int, name string) {
	b.add(
		asm.LoadMem(r2, fp, from, u64),
		asm.LoadMem(r1, fp, to, u64),
		asm.JGE.Reg(r1, r2, name),
		asm.Mov.Reg(r1, r2),
	)
	b.at(name)
	b.add(
		asm.Sub.Reg(r1, r2),
		asm.Mov.Reg(r5, r8),
		asm.Add.Imm(r5, int32(hist)),
	)
	b.count(name)
}
