// Evaluates one request a line of standard input, in JSON, and prints the verdict of each in the same order.
import { createInterface } from 'node:readline'
import { runSimulation } from '@cloud-copilot/iam-simulate'

for await (const line of createInterface({ input: process.stdin })) {
  const c = JSON.parse(line)
  const named = (policies) => policies.map((policy, i) => ({ name: `p${i}`, policy }))
  const result = await runSimulation(
    {
      request: {
        principal: c.principal,
        action: c.action,
        resource: { resource: c.resource, accountId: c.resourceAccount },
        contextVariables: c.context,
      },
      identityPolicies: named(c.identity ?? []),
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      ...(c.boundary && { permissionBoundaryPolicies: named([c.boundary]) }),
      ...(c.session && { sessionPolicy: c.session }),
      ...(c.resourcePolicy && { resourcePolicy: c.resourcePolicy }),
    },
    {},
  )
  if (result.resultType === 'error') {
    console.log(JSON.stringify({ error: result.errors }))
  } else {
    console.log(JSON.stringify({ verdict: result.overallResult, ignored: result.result?.ignoredContextKeys ?? [] }))
  }
}
