import { ClientCredentials } from 'simple-oauth2'
import { answer } from './answer.mjs'

const styles = {
  client_secret_basic: { authorizationMethod: 'header' },
  client_secret_basic_raw: { authorizationMethod: 'header', credentialsEncodingMode: 'loose' },
  client_secret_post: { authorizationMethod: 'body' },
  client_secret_post_json: { authorizationMethod: 'body', bodyFormat: 'json' },
}

await answer(async (task) => {
  const { origin, pathname } = new URL(task.endpoint)
  const client = new ClientCredentials({
    client: { id: task.client, secret: task.secret },
    auth: { tokenHost: origin, revokePath: pathname },
    options: styles[task.style ?? task.method],
  })
  const kind = task.hint ?? 'access_token'
  await client.createToken({ [kind]: task.token }).revoke(kind)
})
