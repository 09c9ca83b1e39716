// Package capture holds Python programs on the real oslo.messaging library, and tests that run them
// against package wire. They need no broker.
//
// capture.py writes the golden files of package wire: bodies as the library itself publishes them.
// decode.py tells what the library makes of a body. notifications.py does both for notifications. Each test waits for the process that it starts.
package capture
