package uring

// Restrict has a ring that was made with IORING_SETUP_R_DISABLED take, from [Ring.Enable] on, only operations of ops
// (IORING_OP_), and only with IOSQE_ flags of flags: others complete with EACCES. Nothing can be registered any more
// either, but for what is in registers (IORING_REGISTER_, which has what undoes it, too). It cannot be taken back, and
// be called only once.
//
// This is for what filters of system calls do not see, since submitting any operation is the same call to them.
func (r *Ring) Restrict(ops []uint8, flags uint8, registers ...uint8) error {
	list := make([]Restriction, 0, len(ops)+len(registers)+1)
	for _, op := range ops {
		list = append(list, Restriction{Opcode: IORING_RESTRICTION_SQE_OP, RegisterOp: op})
	}
	for _, op := range registers {
		list = append(list, Restriction{Opcode: IORING_RESTRICTION_REGISTER_OP, RegisterOp: op})
	}
	list = append(list, Restriction{Opcode: IORING_RESTRICTION_SQE_FLAGS_ALLOWED, RegisterOp: flags})
	if errno := r.registerRestrictions(list); errno != 0 {
		return r.explain("restricting the ring", errno)
	}
	return nil
}

// RestrictToQueue is [Ring.Restrict] to what a [Queue] submits by itself: transfers, what it waits for descriptors
// with, and cancellations; and ops beside that.
func (r *Ring) RestrictToQueue(ops ...uint8) error {
	ops = append(ops, IORING_OP_READ, IORING_OP_WRITE, IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_POLL_ADD,
		IORING_OP_ASYNC_CANCEL, IORING_OP_TIMEOUT)
	return r.Restrict(ops, IOSQE_CQE_SKIP_SUCCESS)
}
