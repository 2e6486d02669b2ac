/** Orders to other functions of the stage: plain data, answered when the function is done. */
import { InvokeCommand, type LambdaClient } from '@aws-sdk/client-lambda';
import type { JsonObject } from '../../domain/ports.ts';

/** Throws when the function fails, or cannot be asked. */
export type SendAdminCommand = (functionName: string, sendCommand: JsonObject) => Promise<void>;

export function awsAdminCommands(lambda: () => LambdaClient): SendAdminCommand {
  return async (FunctionName, sendCommand) => {
    const answer = await lambda().send(
      new InvokeCommand({ FunctionName, Payload: Buffer.from(JSON.stringify(sendCommand)) }),
    );
    // What it says of itself may be anything: it is in that function's own log.
    if (answer.FunctionError)
      throw new Error(`the function ${FunctionName} failed (${answer.FunctionError}): see its log`);
  };
}
