/** Admin commands to other functions of the stage. The call returns when the function has finished. */
import { InvokeCommand, type LambdaClient } from '@aws-sdk/client-lambda';
import type { JsonObject } from '../../domain/ports.ts';

/** Throws when the function fails or cannot be invoked. */
export type SendAdminCommand = (functionName: string, command: JsonObject) => Promise<void>;

export function awsAdminCommands(lambda: () => LambdaClient): SendAdminCommand {
  return async (FunctionName, command) => {
    const answer = await lambda().send(
      new InvokeCommand({ FunctionName, Payload: Buffer.from(JSON.stringify(command)) }),
    );
    // The payload of the error may contain anything, so it stays in the log of that function.
    if (answer.FunctionError)
      throw new Error(`Function ${FunctionName} failed (${answer.FunctionError}). See its log.`);
  };
}
