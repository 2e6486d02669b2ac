/** A worker that dies over its tenth job. */
// In this order, and both before any message comes: who only listened while the other is still being read would lose the first job.
import './tenth-job.ts';
import '../../vault/worker.ts';
