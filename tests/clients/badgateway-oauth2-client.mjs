import { OAuth2Client } from '@badgateway/oauth2-client'
import { answer } from './answer.mjs'

const styles = {
  client_secret_basic: { authenticationMethod: 'client_secret_basic' },
  client_secret_basic_raw: { authenticationMethod: 'client_secret_basic_interop' },
  client_secret_post: { authenticationMethod: 'client_secret_post' },
  none: {},
}

await answer(async (task) => {
  const client = new OAuth2Client({
    server: new URL(task.endpoint).origin,
    revocationEndpoint: task.endpoint,
    clientId: task.client,
    clientSecret: task.method === 'none' ? undefined : task.secret,
    ...styles[task.style ?? task.method],
  })
  await client.revoke({ accessToken: task.token, refreshToken: task.token, expiresAt: null }, task.hint)
})
