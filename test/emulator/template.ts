/** What the emulator cannot do, taken out of its copy of the templates; AWS gets the templates as they were written. */

export type Template = {
  Resources?: {
    [id: string]: { Type: string; Properties?: { [name: string]: unknown }; DependsOn?: string | string[] };
  };
  Outputs?: { [id: string]: unknown };
};

/** CloudFormation types ministack 1.5.33 does not know. */
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
 * The template without unknown types and alarms on computed metrics, and without the statements that demand TLS, which a plain HTTP
 * endpoint never meets; grants of single messages get the emulator's batches. The HTTP API gets that id and the WebSocket API one made from it, so that their addresses are known before they are there. `dropped` says what went, one line each. Throws when something that stays refers to something that goes.
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
      dropped.push(`${resource.Type} ${id}: not known to the emulator`);
    } else if (resource.Type === 'AWS::CloudWatch::Alarm' && resource.Properties?.Metrics) {
      delete resources[id];
      dropped.push(`${resource.Type} ${id}: computed from several metrics, which the emulator cannot`);
    } else if (
      resource.Type === 'AWS::S3::BucketPolicy' ||
      resource.Type === 'AWS::SQS::QueuePolicy' ||
      resource.Type === 'AWS::SNS::TopicPolicy'
    ) {
      const policy = resource.Properties?.PolicyDocument as { Statement: Statement[] };
      const kept = policy.Statement.filter((statement) => !demandsTls(statement));
      if (kept.length === policy.Statement.length) continue;
      policy.Statement = kept;
      if (kept.length === 0) delete resources[id];
      dropped.push(`${resource.Type} ${id}: its demand for TLS, since the emulator speaks plain HTTP`);
    } else if (resource.Type === 'AWS::IAM::Policy') {
      const policy = resource.Properties?.PolicyDocument as { Statement: Statement[] };
      for (const statement of policy.Statement) statement.Action = [statement.Action].flat().flatMap(withBatches);
    }
  }
  const gone = Object.keys(template.Resources ?? {}).filter((id) => !(id in resources));
  const lost = (value: unknown) => gone.some((other) => refersTo(value, other));
  // A way through what is not there, and what would be told of it.
  for (const [id, resource] of Object.entries(resources)) {
    if (resource.Type !== 'AWS::EC2::Route' || !lost(resource)) continue;
    delete resources[id];
    dropped.push(`${resource.Type} ${id}: it leads through what is gone`);
  }
  for (const [id, output] of Object.entries(copy.Outputs ?? {})) {
    if (!lost(output)) continue;
    delete copy.Outputs?.[id];
    dropped.push(`the output ${id}: it tells of what is gone`);
  }
  for (const [id, resource] of Object.entries(resources)) {
    if (resource.DependsOn) resource.DependsOn = [resource.DependsOn].flat().filter((other) => !gone.includes(other));
    for (const other of gone)
      if (refersTo(resource, other)) throw new Error(`${id} refers to ${other}, which the emulator cannot have`);
  }
  return { template: copy, dropped };
}

/** The id of the WebSocket API beside the HTTP API of that id. */
export function liveIdOf(apiId: string): string {
  return `live${apiId}`;
}

type Statement = {
  Effect: string;
  Action: string | string[];
  Condition?: { [operator: string]: { [key: string]: unknown } };
};

/** The emulator asks for these, while on AWS batches of messages need the right to one and no such actions exist. */
function withBatches(action: string): string[] {
  return /^sqs:(SendMessage|DeleteMessage|ChangeMessageVisibility)$/.test(action)
    ? [action, `${action}Batch`]
    : [action];
}

function demandsTls(statement: Statement): boolean {
  return (
    statement.Effect === 'Deny' &&
    ('aws:SecureTransport' in (statement.Condition?.Bool ?? {}) ||
      's3:TlsVersion' in (statement.Condition?.NumericLessThan ?? {}))
  );
}

function refersTo(value: unknown, id: string): boolean {
  if (Array.isArray(value)) return value.some((each) => refersTo(each, id));
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([name, inner]) => {
    if (name === 'Ref') return inner === id;
    if (name === 'Fn::GetAtt')
      return [inner].flat()[0] === id || (typeof inner === 'string' && inner.startsWith(`${id}.`));
    if (name === 'Fn::Sub') return JSON.stringify(inner).includes(`\${${id}`);
    return refersTo(inner, id);
  });
}
