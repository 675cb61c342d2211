/**
 * One RocketMQ client per process, steered by a test: commands arrive line by line on standard input, and everything
 * that happens is reported as one JSON object a line on standard output. The process decides nothing and asserts
 * nothing; the test that started it does.
 */
package remora.client;
