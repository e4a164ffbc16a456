package minimize

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/axiomhq/hyperloglog"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/caddy-minimize/minimize/rules"
)

// peopleAbroad counts the data subjects whose data left for each country since 1 January: what a company may do without an
// assessment, a contract or a certificate depends on it (China's provisions on cross-border data flows of 22 March 2024,
// articles 5, 7 and 8: 10,000, 100,000 and 1,000,000). It keeps no id: of a salted hash a HyperLogLog remembers a few bits.
// The old and the new app share it while a configuration is reloaded, and Caddy's storage keeps it across restarts.
type peopleAbroad struct {
	key    string // in the storage
	logger *zap.Logger
	now    func() time.Time

	saving sync.Mutex // one at a time, so that the newest state is stored last

	mu      sync.Mutex
	storage certmagic.Storage
	read    bool        // what the storage has is known
	waiting []departure // until then
	changed bool        // since it was stored
	year    int
	salt    uint64
	people  map[string]*hyperloglog.Sketch // by country
}

// departure is that data of somebody left for a country.
type departure struct {
	country string
	person  personHash
}

// maxWaiting bounds the departures that wait for a storage which does not answer.
const maxWaiting = 100_000

// saveEvery is how often what changed is stored.
var saveEvery = time.Minute

const storagePatience = 5 * time.Second

// peopleAbroadPool holds it for the apps that use it, by its key.
var peopleAbroadPool = caddy.NewUsagePool()

// provisionPeopleAbroad reads nothing, so that `caddy validate` may run anywhere.
func (a *App) provisionPeopleAbroad() error {
	node := a.Node
	if node == "" {
		var err error
		if node, err = os.Hostname(); err != nil {
			return fmt.Errorf("finding the host's name for the count of people abroad (or say `node NAME`): %w", err)
		}
	}
	key := "minimize/people_abroad/" + certmagic.StorageKeys.Safe(node) + ".json"
	shared, _, err := peopleAbroadPool.LoadOrNew(key, func() (caddy.Destructor, error) {
		return &peopleAbroad{key: key, logger: zap.New(currentLog{}).Named("minimize"), now: time.Now}, nil
	})
	if err != nil {
		return err
	}
	a.abroad = shared.(*peopleAbroad)
	return nil
}

// keepPeopleAbroad keeps the count in this configuration's storage until the app stops.
func (a *App) keepPeopleAbroad() {
	defer close(a.kept)
	a.abroad.use(a.ctx.Storage())
	a.each(saveEvery, func() bool { a.abroad.keep(); return true })
	a.abroad.keep()
}

// use says where the count is kept from now on.
func (p *peopleAbroad) use(s certmagic.Storage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.storage = s
}

// add notes that data of these people left for a country.
func (p *peopleAbroad) add(country string, people []personHash) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, person := range people {
		if p.read {
			p.count(departure{country, person})
		} else if len(p.waiting) < maxWaiting {
			p.waiting = append(p.waiting, departure{country, person})
		}
	}
}

func (p *peopleAbroad) count(d departure) {
	p.turn()
	sketch := p.people[d.country]
	if sketch == nil {
		sketch = hyperloglog.NewNoSparse() // the sparse form has 25 bits of each
		p.people[d.country] = sketch
	}
	salted := xxhash.NewWithSeed(p.salt)
	salted.Write(binary.LittleEndian.AppendUint64(nil, uint64(d.person)))
	sketch.InsertHash(salted.Sum64())
	p.changed = true
}

// turn begins at 0 with a new year.
func (p *peopleAbroad) turn() {
	if year := p.now().UTC().Year(); year != p.year {
		p.year, p.salt, p.people = year, rand.Uint64(), map[string]*hyperloglog.Sketch{}
	}
}

// keep reads what the storage has, if that is not known yet, and stores what changed. Neither keeps a message waiting.
func (p *peopleAbroad) keep() {
	p.saving.Lock()
	defer p.saving.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), storagePatience)
	defer cancel()
	if err := p.load(ctx); err != nil {
		p.logger.Warn("the count of people abroad cannot be read from Caddy's storage: it is tried again", zap.Error(err))
		return
	}
	if err := p.save(ctx); err != nil {
		p.logger.Warn("the count of people abroad cannot be stored in Caddy's storage: it is tried again", zap.Error(err))
	}
}

// load reads what is stored, once. What cannot be understood will never be: then the count starts at 0.
func (p *peopleAbroad) load(ctx context.Context) error {
	p.mu.Lock()
	storage, read := p.storage, p.read
	p.mu.Unlock()
	if read || storage == nil {
		return nil
	}
	data, err := loadPeople(ctx, storage, p.key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		if err := p.decode(data); err != nil {
			p.logger.Error("the stored count of people abroad is broken: it starts at 0", zap.Error(err))
		}
	}
	p.turn()
	p.read = true
	for _, d := range p.waiting {
		p.count(d)
	}
	p.waiting = nil
	return nil
}

// maxStored is more than a sketch of 16 KiB, in base64, for every country.
const maxStored = 8 << 20

// loadPeople reads no more than can be a count. What is longer is broken, as an empty file is.
func loadPeople(ctx context.Context, storage certmagic.Storage, key string) ([]byte, error) {
	if info, err := storage.Stat(ctx, key); err != nil || info.Size > maxStored {
		return nil, err
	}
	return storage.Load(ctx, key)
}

func (p *peopleAbroad) save(ctx context.Context) error {
	p.mu.Lock()
	storage := p.storage
	if !p.changed || storage == nil {
		p.mu.Unlock()
		return nil
	}
	data, err := p.encode()
	p.changed = false
	p.mu.Unlock()
	if err == nil {
		err = storage.Store(ctx, p.key, data)
	}
	if err != nil {
		p.mu.Lock()
		p.changed = true
		p.mu.Unlock()
	}
	return err
}

// storedPeople is peopleAbroad in the storage.
type storedPeople struct {
	Year   int               `json:"year"`
	Salt   uint64            `json:"salt"`
	People map[string][]byte `json:"people"`
}

func (p *peopleAbroad) encode() ([]byte, error) {
	stored := storedPeople{p.year, p.salt, map[string][]byte{}}
	for country, sketch := range p.people {
		data, err := sketch.MarshalBinary()
		if err != nil {
			return nil, err
		}
		stored.People[country] = data
	}
	return json.Marshal(stored)
}

// sketchHead is how many bytes say of what form and precision a sketch is.
const sketchHead = 8

func (p *peopleAbroad) decode(data []byte) error {
	var stored storedPeople
	if err := json.Unmarshal(data, &stored); err != nil {
		return err
	}
	people := map[string]*hyperloglog.Sketch{}
	for country, data := range stored.People {
		if !rules.IsPlace(country) { // it becomes a label
			return errors.New("a country is none that is written here")
		}
		sketch := hyperloglog.NewNoSparse()
		empty, err := sketch.MarshalBinary()
		if err != nil {
			return err
		}
		if len(data) != len(empty) || !bytes.HasPrefix(data, empty[:sketchHead]) {
			return errors.New("a sketch is none that is made here")
		}
		if err := sketch.UnmarshalBinary(data); err != nil {
			return err
		}
		people[country] = sketch
	}
	p.year, p.salt, p.people = stored.Year, stored.Salt, people
	return nil
}

// Destruct stores what came after the last app stopped: other servers end in their own time.
func (p *peopleAbroad) Destruct() error {
	p.keep()
	return nil
}

// peopleAbroadState shows the running app's count.
type peopleAbroadState struct{}

var peopleAbroadDesc = prometheus.NewDesc("caddy_minimize_people_abroad",
	"Data subjects, about, whose data left for a country since 1 January (UTC).", []string{"country"}, nil)

// Describe names what Collect shows.
func (peopleAbroadState) Describe(to chan<- *prometheus.Desc) { to <- peopleAbroadDesc }

// Collect counts.
func (peopleAbroadState) Collect(to chan<- prometheus.Metric) {
	app := running.Load()
	if app == nil || app.abroad == nil {
		return
	}
	p := app.abroad
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.read {
		return
	}
	p.turn()
	for country, sketch := range p.people {
		to <- prometheus.MustNewConstMetric(peopleAbroadDesc, prometheus.GaugeValue, float64(sketch.Estimate()), country)
	}
}
