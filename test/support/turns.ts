/** Counts the turns of the event loop that other requests get during the work. */
export async function countTurns(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let isOn = true;
  const count = () => {
    turns++;
    if (isOn) setImmediate(count);
  };
  setImmediate(count);
  await work();
  isOn = false;
  return turns;
}
