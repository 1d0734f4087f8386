import * as client from 'openid-client'
import { answer } from './answer.mjs'
import { signingKey } from './keys.mjs'

const authentications = {
  client_secret_basic: (task) => client.ClientSecretBasic(task.secret),
  client_secret_post: (task) => client.ClientSecretPost(task.secret),
  client_secret_jwt: (task) => client.ClientSecretJwt(task.secret),
  private_key_jwt: async (task) => client.PrivateKeyJwt({ key: await signingKey(task.key, task.alg), kid: task.key.kid }),
  none: () => client.None(),
}

await answer(async (task) => {
  const server = { issuer: task.issuer, revocation_endpoint: task.endpoint, ...task.metadata }
  const authentication = await authentications[task.method](task)
  const config = new client.Configuration(server, task.client, {}, authentication)
  client.allowInsecureRequests(config)
  await client.tokenRevocation(config, task.token, task.hint ? { token_type_hint: task.hint } : undefined)
})
