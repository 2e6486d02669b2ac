/** A worker that dies at its tenth job. */
// Import order matters: both must listen before the first message arrives, or the first job is lost.
import './tenth-job.ts';
import '../../vault/worker.ts';
