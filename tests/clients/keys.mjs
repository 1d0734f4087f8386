import { subtle } from 'node:crypto'

const sha = (alg) => ({ hash: `SHA-${alg.slice(2)}` })

// A private key that WebCrypto made, from the JWK of a task.
export async function signingKey(jwk, alg) {
  const algorithms = {
    RS: () => ({ name: 'RSASSA-PKCS1-v1_5', ...sha(alg) }),
    PS: () => ({ name: 'RSA-PSS', ...sha(alg) }),
    ES: () => ({ name: 'ECDSA', namedCurve: jwk.crv }),
    Ed: () => ({ name: 'Ed25519' }),
  }
  const { alg: _, ...rest } = jwk
  return subtle.importKey('jwk', rest, algorithms[alg.slice(0, 2)](), false, ['sign'])
}
