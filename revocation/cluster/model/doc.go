// Package model is a model of the protocol by which nodes share a denylist, and
// nothing but tests.
package model
