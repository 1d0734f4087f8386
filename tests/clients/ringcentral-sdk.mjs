import { SDK } from '@ringcentral/sdk'
import { answer } from './answer.mjs'

await answer(async (task) => {
  const { origin, pathname } = new URL(task.endpoint)
  const sdk = new SDK({
    server: origin,
    revokeEndpoint: pathname,
    clientId: task.client,
    clientSecret: task.method === 'none' ? undefined : task.secret,
  })
  await sdk.platform().auth().setData({ access_token: task.token, token_type: 'bearer', expires_in: '3600' })
  await sdk.platform().logout()
})
