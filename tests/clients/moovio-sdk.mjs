import moov from '@moovio/sdk'
import { answer } from './answer.mjs'

await answer(async (task) => {
  const basic = { username: task.client, password: task.secret }
  const posted = { clientId: task.client, clientSecret: task.secret }
  const both = task.style === 'both'
  const client = new moov.Moov({
    serverURL: new URL(task.endpoint).origin, // its path is always /oauth2/revoke
    security: both || task.method === 'client_secret_basic' ? basic : undefined,
  })
  await client.authentication.revokeAccessToken({
    token: task.token,
    tokenTypeHint: task.hint,
    ...(both || task.method !== 'client_secret_basic' ? posted : {}),
  })
})
