// franz-go: one call of the plan, see program-client.ts.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const wait = 60 * time.Second

var asked struct {
	BootstrapServers  string
	Topic             string
	Group             string
	Name              string
	Value             string
	Codec             string
	Idempotent        bool
	Partitions        int32
	ReplicationFactor int16
	Partition         int32
	Before            int64
	Total             int
	Ends              []int64
	End               int64
	Timestamp         int64
	Records           []struct{ Key, Value string }
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func client(options ...kgo.Opt) *kgo.Client {
	servers := kgo.SeedBrokers(strings.Split(asked.BootstrapServers, ",")...)
	made, err := kgo.NewClient(append(options, servers)...)
	must(err)
	return made
}

func admin() *kadm.Client { return kadm.NewClient(client()) }

func row(record *kgo.Record) []any {
	return []any{record.Partition, record.Offset, string(record.Key), string(record.Value)}
}

func produce(ctx context.Context) {
	codecs := map[string]kgo.CompressionCodec{
		"none":   kgo.NoCompression(),
		"gzip":   kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(),
		"lz4":    kgo.Lz4Compression(),
		"zstd":   kgo.ZstdCompression(),
	}
	options := []kgo.Opt{
		kgo.ProducerBatchCompression(codecs[asked.Codec]),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.ProducerLinger(20 * time.Millisecond),
	}
	if !asked.Idempotent {
		options = append(options, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1))
	}
	producer := client(options...)
	defer producer.Close()
	records := make([]*kgo.Record, 0, len(asked.Records))
	for _, each := range asked.Records {
		records = append(records, &kgo.Record{Topic: asked.Topic, Key: []byte(each.Key), Value: []byte(each.Value)})
	}
	must(producer.ProduceSync(ctx, records...).FirstErr())
}

func read(ctx context.Context, starts map[int32]kgo.Offset, ends []int64) [][]any {
	reader := client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{asked.Topic: starts}))
	defer reader.Close()
	open := map[int32]bool{}
	for partition := range starts {
		if ends[partition] > 0 {
			open[partition] = true
		}
	}
	rows := [][]any{}
	for len(open) > 0 {
		fetches := reader.PollFetches(ctx)
		must(fetches.Err())
		fetches.EachRecord(func(record *kgo.Record) {
			rows = append(rows, row(record))
			if record.Offset+1 >= ends[record.Partition] {
				delete(open, record.Partition)
			}
		})
	}
	return rows
}

func join() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	member := client(
		kgo.ConsumerGroup(asked.Group),
		kgo.ConsumeTopics(asked.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(6*time.Second),
		kgo.HeartbeatInterval(time.Second),
		kgo.AutoCommitInterval(500*time.Millisecond),
	)
	for ctx.Err() == nil {
		member.PollFetches(ctx).EachRecord(func(record *kgo.Record) {
			line, err := json.Marshal(row(record))
			must(err)
			fmt.Println(string(line))
		})
	}
	last, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	must(member.CommitUncommittedOffsets(last))
	member.Close()
}

func lag(ctx context.Context) []map[string]int64 {
	lags, err := admin().Lag(ctx, asked.Group)
	must(err)
	must(lags.Error())
	told := []map[string]int64{}
	for _, each := range lags[asked.Group].Lag.Sorted() {
		must(each.Err)
		told = append(told, map[string]int64{"partition": int64(each.Partition), "committed": each.Commit.At, "lag": each.Lag})
	}
	return told
}

func config(ctx context.Context) string {
	configs, err := admin().DescribeTopicConfigs(ctx, asked.Topic)
	must(err)
	of, err := configs.On(asked.Topic, nil)
	must(err)
	must(of.Err)
	for _, each := range of.Configs {
		if each.Key == asked.Name {
			return each.MaybeValue()
		}
	}
	return ""
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, each := range info.Deps {
		if each.Path == "github.com/twmb/franz-go" {
			return strings.TrimPrefix(each.Version, "v")
		}
	}
	return "?"
}

func administer(ctx context.Context, call string) any {
	switch call {
	case "create":
		_, err := admin().CreateTopic(ctx, asked.Partitions, asked.ReplicationFactor, nil, asked.Topic)
		must(err)
	case "brokers":
		brokers, err := admin().ListBrokers(ctx)
		must(err)
		return brokers.NodeIDs()
	case "topics":
		topics, err := admin().ListTopics(ctx)
		must(err)
		return topics.Names()
	case "setConfig":
		change := kadm.AlterConfig{Op: kadm.SetConfig, Name: asked.Name, Value: &asked.Value}
		answers, err := admin().AlterTopicConfigs(ctx, []kadm.AlterConfig{change}, asked.Topic)
		must(err)
		answer, err := answers.On(asked.Topic, nil)
		must(err)
		must(answer.Err)
	case "addPartitions":
		answers, err := admin().UpdatePartitions(ctx, asked.Total, asked.Topic)
		must(err)
		must(answers.Error())
	case "groups":
		groups, err := admin().ListGroups(ctx)
		must(err)
		return groups.Groups()
	case "groupState":
		groups, err := admin().DescribeGroups(ctx, asked.Group)
		must(err)
		must(groups.Error())
		return groups[asked.Group].State
	case "deleteRecords":
		offsets := kadm.Offsets{}
		offsets.AddOffset(asked.Topic, asked.Partition, asked.Before, -1)
		answers, err := admin().DeleteRecords(ctx, offsets)
		must(err)
		must(answers.Error())
	case "deleteGroup":
		_, err := admin().DeleteGroup(ctx, asked.Group)
		must(err)
	case "deleteTopic":
		_, err := admin().DeleteTopic(ctx, asked.Topic)
		must(err)
	default:
		must(fmt.Errorf("there is no call %q", call))
	}
	return nil
}

func main() {
	must(json.NewDecoder(os.Stdin).Decode(&asked))
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	var answer any
	switch call := os.Args[1]; call {
	case "version":
		answer = version()
	case "produce":
		produce(ctx)
	case "consume":
		starts := map[int32]kgo.Offset{}
		for partition := range asked.Ends {
			starts[int32(partition)] = kgo.NewOffset().AtStart()
		}
		answer = read(ctx, starts, asked.Ends)
	case "consumeFromTime":
		starts := map[int32]kgo.Offset{0: kgo.NewOffset().AfterMilli(asked.Timestamp)}
		answer = read(ctx, starts, []int64{asked.End})
	case "join":
		join()
	case "lag":
		answer = lag(ctx)
	case "config":
		answer = config(ctx)
	default:
		answer = administer(ctx, call)
	}
	must(json.NewEncoder(os.Stdout).Encode(answer))
}
