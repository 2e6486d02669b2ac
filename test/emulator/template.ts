/** Removes from a copy of the templates everything that the emulator does not support. AWS gets the originals. */

export type Template = {
  Resources?: {
    [id: string]: { Type: string; Properties?: { [name: string]: unknown }; DependsOn?: string | string[] };
  };
  Outputs?: { [id: string]: unknown };
};

/** CloudFormation types that ministack 1.5.33 does not support. */
const unknownTypes = [
  'AWS::ApiGatewayV2::RouteResponse',
  'AWS::ApplicationAutoScaling::ScalableTarget',
  'AWS::ApplicationAutoScaling::ScalingPolicy',
  'AWS::Budgets::Budget',
  'AWS::CE::AnomalyMonitor',
  'AWS::CE::AnomalySubscription',
  'AWS::CloudWatch::CompositeAlarm',
  'AWS::EC2::EIP',
  'AWS::EC2::FlowLog',
  'AWS::EC2::NatGateway',
  'AWS::Events::Archive',
  'AWS::Logs::QueryDefinition',
  'AWS::WAFv2::WebACLAssociation',
];

/**
 * Returns a copy of the template for the emulator.
 * - It has no unknown types, no alarms on computed metrics and no statements that require TLS.
 * - Grants of single messages include the emulator's batch actions.
 * - The HTTP API has the id `apiId`, and the WebSocket API an id made from it. Their addresses are therefore known
 *   before the deployment.
 *
 * `dropped` has one line for each removed part. Throws when a remaining resource refers to a removed one.
 */
export function forEmulator(template: Template, apiId: string): { template: Template; dropped: string[] } {
  const copy = structuredClone(template);
  const resources = copy.Resources ?? {};
  const dropped: string[] = [];
  for (const [id, resource] of Object.entries(resources)) {
    if (resource.Type === 'AWS::ApiGatewayV2::Api') {
      const id = resource.Properties?.ProtocolType === 'WEBSOCKET' ? liveIdOf(apiId) : apiId;
      resource.Properties = {
        ...resource.Properties,
        Tags: { ...(resource.Properties?.Tags ?? {}), 'ms-custom-id': id },
      };
    } else if (unknownTypes.includes(resource.Type)) {
      delete resources[id];
      dropped.push(`${resource.Type} ${id}: the emulator does not know the type`);
    } else if (resource.Type === 'AWS::CloudWatch::Alarm' && resource.Properties?.Metrics) {
      delete resources[id];
      dropped.push(`${resource.Type} ${id}: the emulator cannot compute a metric from others`);
    } else if (
      resource.Type === 'AWS::S3::BucketPolicy' ||
      resource.Type === 'AWS::SQS::QueuePolicy' ||
      resource.Type === 'AWS::SNS::TopicPolicy'
    ) {
      const policy = resource.Properties?.PolicyDocument as { Statement: Statement[] };
      const kept = policy.Statement.filter((statement) => !requiresTls(statement));
      if (kept.length === policy.Statement.length) continue;
      policy.Statement = kept;
      if (kept.length === 0) delete resources[id];
      dropped.push(`${resource.Type} ${id}: the statement that requires TLS, because the emulator uses plain HTTP`);
    } else if (resource.Type === 'AWS::IAM::Policy') {
      const policy = resource.Properties?.PolicyDocument as { Statement: Statement[] };
      for (const statement of policy.Statement) statement.Action = [statement.Action].flat().flatMap(withBatches);
    }
  }
  const removed = Object.keys(template.Resources ?? {}).filter((id) => !(id in resources));
  const refersToRemoved = (value: unknown) => removed.some((other) => refersTo(value, other));
  // Routes and outputs may refer to a removed resource. They are removed too.
  for (const [id, resource] of Object.entries(resources)) {
    if (resource.Type !== 'AWS::EC2::Route' || !refersToRemoved(resource)) continue;
    delete resources[id];
    dropped.push(`${resource.Type} ${id}: it leads through a removed resource`);
  }
  for (const [id, output] of Object.entries(copy.Outputs ?? {})) {
    if (!refersToRemoved(output)) continue;
    delete copy.Outputs?.[id];
    dropped.push(`Output ${id}: it refers to a removed resource`);
  }
  for (const [id, resource] of Object.entries(resources)) {
    if (resource.DependsOn)
      resource.DependsOn = [resource.DependsOn].flat().filter((other) => !removed.includes(other));
    for (const other of removed)
      if (refersTo(resource, other))
        throw new Error(
          `${id} refers to ${other}, which the emulator does not support. Handle the reference in forEmulator.`,
        );
  }
  return { template: copy, dropped };
}

/** The id of the WebSocket API that belongs to the HTTP API with this id. */
export function liveIdOf(apiId: string): string {
  return `live${apiId}`;
}

type Statement = {
  Effect: string;
  Action: string | string[];
  Condition?: { [operator: string]: { [key: string]: unknown } };
};

/** The emulator requires actions for batches. On AWS they do not exist: the right to one message includes batches. */
function withBatches(action: string): string[] {
  return /^sqs:(SendMessage|DeleteMessage|ChangeMessageVisibility)$/.test(action)
    ? [action, `${action}Batch`]
    : [action];
}

function requiresTls(statement: Statement): boolean {
  return (
    statement.Effect === 'Deny' &&
    ('aws:SecureTransport' in (statement.Condition?.Bool ?? {}) ||
      's3:TlsVersion' in (statement.Condition?.NumericLessThan ?? {}))
  );
}

function refersTo(value: unknown, id: string): boolean {
  if (Array.isArray(value)) return value.some((element) => refersTo(element, id));
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([name, inner]) => {
    if (name === 'Ref') return inner === id;
    if (name === 'Fn::GetAtt')
      return [inner].flat()[0] === id || (typeof inner === 'string' && inner.startsWith(`${id}.`));
    if (name === 'Fn::Sub') return JSON.stringify(inner).includes(`\${${id}`);
    return refersTo(inner, id);
  });
}
